"""C programs with ACSL contracts: those that pass, those that fail, and those that cheat."""

import shutil

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards.verifiers import frama_c
from foolsgold.rewards.verifiers.frama_c import FramaCVerifier, endless, tokens
from foolsgold.rewards.verifiers.verdict import VerifierFailure

needs_frama_c = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("frama-c", "why3", "bwrap")), reason="needs Frama-C, Why3 and bubblewrap"
)

SUM = """
/*@ requires 0 <= n <= 1000;
    assigns \\nothing;
    ensures 2 * \\result == n * (n + 1); */
int sum(int n) {
  int s = 0;
  int i = 0;
  while (i < n) {
    i = i + 1;
    s = s + i;
  }
  return s;
}
"""
LOOP = (
    "/*@ loop invariant 0 <= i <= n; loop invariant 2 * s == i * (i + 1); loop assigns i, s; loop variant n - i; */\n"
)
PROVED = SUM.replace("  while", LOOP + "  while")

COUNT = "/*@ requires n >= 0; ensures \\result == n; */\nint f(int n) { int i = 0; while (i != n) { i++; } return i; }"
ABS = "/*@ requires x > -1000; ensures \\result >= 0; */\nint f(int x) { if (x < 0) { x = -x; } return x; }"
ZERO = """/*@ requires n >= 0 && \\valid(a + (0 .. n - 1)); assigns a[0 .. n - 1];
ensures \\forall integer k; 0 <= k < n ==> a[k] == 0; */
void f(int *a, int n) { for (int i = 0; i < n; i++) { a[i] = 0; } }"""
DOWN = "/*@ requires n > 0; ensures \\result == 0; */\nint f(int n) { do { n--; } while (n > 0); return n; }"
UP = "/*@ ensures \\result == n + 1; */\nint f(int n) { return n + 1; }"

COUNTED = COUNT.replace("while", "/*@ loop invariant 0 <= i <= n; loop assigns i; loop variant n - i; */ while")
PASS = [
    (SUM, PROVED),
    (SUM, PROVED.replace("int i = 0;", "int i = 0; //@ assert s == i;")),
    (COUNT, COUNTED),
    (ABS, ABS),
    (
        ZERO,
        ZERO.replace(
            "for (",
            "/*@ loop invariant 0 <= i <= n; loop invariant \\forall integer k; 0 <= k < i ==> a[k] == 0;\n"
            "loop assigns i, a[0 .. n - 1]; loop variant n - i; */ for (",
        ),
    ),
    (DOWN, DOWN.replace("do", "/*@ loop invariant n > 0; loop assigns n; loop variant n; */ do")),
]
FAIL = [
    (SUM, SUM),
    (SUM, PROVED.replace("loop variant n - i;", "")),
    (SUM, PROVED.replace("i <= n; loop", "i < n; loop")),
    (SUM, PROVED.replace("loop assigns i, s;", "loop assigns i;")),
    (SUM, PROVED.replace("int s = 0;", "int s = 0; /*@ assert \\false; */")),
    (COUNT, COUNTED.replace("variant n - i", "variant i")),
    (UP, UP),
]
CHEATS = {
    "admit": PROVED.replace("int s = 0;", "int s = 0; /*@ admit \\false; */"),
    "admitted invariant": PROVED.replace("/*@ loop", "/*@ admit loop"),
    "check only": PROVED.replace("int s = 0;", "int s = 0; /*@ check \\true; */"),
    "assume": PROVED.replace("int s = 0;", "int s = 0; /*@ assume \\false; */"),
    "axiomatic": "/*@ axiomatic A { axiom a: \\false; } */" + PROVED,
    "lemma": "/*@ lemma a: \\false; */" + PROVED,
    "predicate": "/*@ predicate p(int x) = x > 0; */" + PROVED,
    "weaker contract": PROVED.replace("ensures 2 * \\result", "ensures \\true || 2 * \\result"),
    "no contract": PROVED.replace("/*@ requires", "/* requires"),
    "stronger demand": PROVED.replace("requires 0 <= n", "requires 1 <= n"),
    "one more demand": PROVED.replace("assigns \\nothing;", "requires \\false; assigns \\nothing;"),
    "second contract": PROVED.replace("int sum", "/*@ requires \\false; */ int sum"),
    "statement contract": PROVED.replace("int s = 0;", "int s = 0; /*@ ensures \\false; assigns \\nothing; */"),
    "behaviour": PROVED.replace("/*@ loop", "/*@ for b: loop"),
    "pragma of a loop": PROVED.replace("loop variant", "loop pragma UNROLL 3; loop variant"),
    "pragma": "#pragma STDC\n" + PROVED,
    "include": "#include <stdlib.h>\n" + PROVED,
    "define": "#define while if\n" + PROVED,
    "assembler": PROVED.replace("int i = 0;", 'int i = 0; __asm__("nop");'),
    "other code": PROVED.replace("s = s + i", "s = s + i + 0"),
    "other condition": PROVED.replace("while (i < n)", "while (i <= n - 1)"),
    "ghost": PROVED.replace("int s = 0;", "int s = 0; /*@ ghost int g = 0; */"),
    "terminates": PROVED.replace("assigns \\nothing;", "terminates \\false; assigns \\nothing;"),
    "measure of its own": PROVED.replace("variant n - i;", "variant n - i for R;"),
    "code in a comment": PROVED.replace("i = i + 1;", "/* i = i + 1; */"),
    "spliced line": PROVED.replace("int s = 0;", "// \\\nint s = 0;\nint s = 1;"),
    "invariant of another place": PROVED.replace("return s;", "/*@ loop invariant \\true; */ return s;"),
    "annotations of a loop apart": SUM.replace(
        "  while", "/*@ loop variant 0; */ /*@ loop invariant 0 <= i <= n; loop assigns i, s; */ while"
    ),
    "assertion as a branch": ABS.replace("if (x < 0)", "if (x < 0) /*@ assert \\true; */"),
    "let": PROVED.replace("int s = 0;", "int s = 0; /*@ assert \\let x = 1; x == 1; */"),
    "directive in an annotation": PROVED.replace("/*@ loop", "/*@ #include \nloop"),
    "string in an annotation": PROVED.replace("int s = 0;", 'int s = 0; /*@ assert "a" == "a"; */'),
    "after a binder": PROVED.replace("int s = 0;", "int s = 0; /*@ assert \\forall int k; k == k; ensures \\false; */"),
    "in place of a binder": PROVED.replace("int s = 0;", "int s = 0; /*@ assert \\forall; admit \\false; */"),
    "calls": PROVED.replace("int s = 0;", "int s = 0; /*@ calls sum; */"),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheats_are_refused_before_frama_c_sees_them(cheat, monkeypatch):
    monkeypatch.setattr(frama_c, "run", None)
    program = ABS if cheat == "assertion as a branch" else SUM
    verdict = FramaCVerifier().judge(program, CHEATS[cheat])
    assert verdict.outcome == "refused", verdict
    assert verdict.detail


@pytest.mark.parametrize("answer", ["", "// nothing", "/*@ " + SUM, "int é;", "(" * 100, 'char *s = "'])
def test_what_cannot_be_read_is_invalid(answer, monkeypatch):
    monkeypatch.setattr(frama_c, "run", None)
    assert FramaCVerifier().judge(SUM, answer).outcome in ("invalid", "refused")


def test_loops_without_a_variant_by_hand():
    text = """void f() {
    while (1) {}
    /*@ loop variant n; */ for (;;) do
      x--; while (x);
    /*@ loop variant n; */ do { while (a) b(); } while (c);
    }"""
    assert endless(tokens(text)) == [2, 3, 5]


def test_a_missing_frama_c_is_named_with_its_packages(monkeypatch):
    monkeypatch.setattr(frama_c.shutil, "which", lambda _: None)
    frama_c._why3.cache_clear()
    with pytest.raises(UserError, match="apt install frama-c-base why3"):
        FramaCVerifier().judge(SUM, PROVED)


HEADER = "directory\tfile\tline\tfunction\tproperty kind\tstatus\tproperty\n"


@pytest.mark.parametrize(
    ("status", "goals", "outcome"),
    [
        ("Valid", "2 / 2", "passed"),
        ("Considered valid", "2 / 2", "passed"),
        ("Partially proven", "2 / 2", "wrong"),
        ("Unknown", "2 / 2", "wrong"),
        ("Valid", "1 / 2", "wrong"),
    ],
)
def test_nothing_may_rest_on_what_is_unproved(status, goals, outcome, monkeypatch):
    said = f"exit 0\n{HEADER}.\tp.c\t1\tf\tpostcondition\t{status}\tx\n===\n[wp] Proved goals:    {goals}\n"
    monkeypatch.setattr(frama_c, "_why3", lambda: ("", "z3"))
    monkeypatch.setattr(frama_c, "run", lambda *_: said)
    verdict = FramaCVerifier().judge(UP, UP)
    assert verdict.outcome == outcome
    assert (verdict.share == 1.0) == (outcome == "passed")


def test_a_crash_is_nobodys_verdict(monkeypatch):
    monkeypatch.setattr(frama_c, "_why3", lambda: ("", "z3"))
    monkeypatch.setattr(frama_c, "run", lambda *_: "exit 125\n===\n[kernel] Please report as crash\n")
    with pytest.raises(VerifierFailure, match="Please report"):
        FramaCVerifier().judge(UP, UP)


@needs_frama_c
def test_an_answer_in_a_fence_passes():
    verdict = FramaCVerifier().verdicts(["Prove it."], [f"```c\n{COUNTED}\n```"], program=[COUNT])[0]
    assert (verdict.outcome, verdict.share) == ("passed", 1.0), verdict


@needs_frama_c
@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PASS)))
def test_proofs_pass(number):
    verdict = FramaCVerifier().judge(*PASS[number])
    assert verdict.outcome == "passed", verdict


@needs_frama_c
@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(FAIL)))
def test_what_is_no_proof_fails_and_says_where(number):
    verdict = FramaCVerifier().judge(*FAIL[number])
    assert verdict.outcome == "wrong", verdict
    assert 0 < verdict.passed < verdict.of or FAIL[number][0] is UP
    assert verdict.detail


@needs_frama_c
@pytest.mark.slow
def test_what_frama_c_does_not_read_is_invalid_and_blamed_on_the_right_one():
    verdict = FramaCVerifier().judge(SUM, PROVED.replace("i <= n;", "i <= nobody;"))
    assert verdict.outcome == "invalid"
    assert "nobody" in verdict.detail
    with pytest.raises(UserError, match="holds no program that it reads"):
        FramaCVerifier().judge("int f( {}", "int f( {}")
