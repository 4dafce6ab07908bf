"""Dafny programs: those that pass, those that fail, and those that cheat."""

import shutil

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards.verifiers import dafny
from foolsgold.rewards.verifiers.dafny import DafnyVerifier, tokens
from foolsgold.rewards.verifiers.verdict import VerifierFailure

needs_dafny = pytest.mark.skipif(
    shutil.which("dafny") is None or shutil.which("bwrap") is None, reason="needs Dafny and bubblewrap"
)

SUM = """
function F(n: nat): nat { if n == 0 then 0 else n + F(n - 1) }
lemma Formula(n: nat)
  ensures 2 * F(n) == n * (n + 1)
{ }
method Sum(n: nat) returns (s: nat)
  requires n < 1000
  ensures 2 * s == n * (n + 1)
{
  s := 0;
  var i := 0;
  while i < n
  {
    i := i + 1;
    s := s + i;
  }
}
"""
GUARD = "while i < n\n"
PROOF = "invariant 0 <= i <= n\n invariant 2 * s == i * (i + 1)\n"
PROVED = SUM.replace(GUARD, GUARD + PROOF)

COUNT = "method M(n: nat) returns (i: nat) ensures i == n { i := 0; while i != n { i := i + 1; } }"
HALF = (
    "method M(n: nat) returns (i: nat) ensures 2 * i <= n < 2 * i + 2 { i := 0; while 2 * i + 1 < n { i := i + 1; } }"
)
MAX = """method M(a: array<int>) returns (m: int) requires a.Length > 0
ensures forall k :: 0 <= k < a.Length ==> a[k] <= m
{ m := a[0]; var i := 1; while i < a.Length { if a[i] > m { m := a[i]; } i := i + 1; } }"""
DOUBLE = """function D(n: nat): nat { if n == 0 then 0 else 2 + D(n - 1) }
lemma Double(n: nat) ensures D(n) == 2 * n { if n > 0 { } }"""

PASS = [
    (SUM, PROVED),
    (
        SUM,
        SUM.replace(GUARD, GUARD + "invariant i <= n\n invariant s == F(i)\n").replace(
            "  }\n}", "  }\n Formula(n);\n}"
        ),
    ),
    (SUM, PROVED.replace("var i := 0;", "var i := 0; assert s == F(0); ghost var g := i + 1; g := g + 1;")),
    (COUNT, COUNT.replace("!= n {", "!= n invariant i <= n decreases n - i {")),
    (DOUBLE, DOUBLE.replace("{ }", "{ Double(n - 1); }")),
    (HALF, HALF.replace("< n { i", "< n invariant 2 * i <= n { i")),
    (
        MAX,
        MAX.replace(
            "Length { if",
            "Length invariant 1 <= i <= a.Length invariant forall k :: 0 <= k < i ==> a[k] <= m { if",
        ),
    ),
]
FAIL = [
    (SUM, SUM),
    (SUM, PROVED.replace("0 <= i <= n", "0 <= i < n")),
    (SUM, PROVED.replace("i * (i + 1)", "i * (i - 1)")),
    (SUM, SUM.replace(GUARD, GUARD + "invariant false\n")),
    (SUM, PROVED.replace("s := 0;", "s := 0; assert false;")),
    (COUNT, COUNT.replace("!= n {", "!= n invariant i <= n decreases i {")),
    (DOUBLE, DOUBLE.replace("{ }", "{ Double(n); }")),
]
CHEATS = {
    "assume": PROVED.replace("s := 0;", "s := 0; assume false;"),
    "assume in an expression": PROVED.replace("s := 0;", "s := 0; assert (assume false; true);"),
    "expect": PROVED.replace("s := 0;", "s := 0; expect false;"),
    "axiom": SUM.replace("lemma Formula", "lemma {:axiom} Formula"),
    "not verified": SUM.replace("method Sum", "method {:verify false} Sum"),
    "attribute of an assertion": PROVED.replace("s := 0;", "s := 0; assert {:subsumption 0} true;"),
    "attribute of an invariant": PROVED.replace("invariant 0", "invariant {:free} 0"),
    "lemma without a body": SUM + "lemma Anything() ensures false",
    "lemma": SUM + "lemma More() ensures true { }",
    "method without a body": SUM[: SUM.index("{\n  s := 0;")],
    "weaker contract": PROVED.replace("ensures 2 * s", "ensures true || 2 * s"),
    "no contract": PROVED.replace("ensures 2 * s == n * (n + 1)\n{\n  s", "{\n  s"),
    "stronger demand": PROVED.replace("requires n < 1000", "requires n < 0"),
    "one more demand": PROVED.replace("requires n", "requires false requires n"),
    "may not end": PROVED.replace("{\n  s := 0;", "decreases *\n{\n  s := 0;"),
    "loop may not end": SUM.replace(GUARD, GUARD + PROOF + "decreases *\n"),
    "clause of a method": PROVED.replace("{\n  s := 0;", "decreases n\n{\n  s := 0;"),
    "modifies": PROVED.replace("requires n", "modifies {} requires n"),
    "other code": PROVED.replace("s := s + i", "s := s + i + 0"),
    "loop without a body": PROVED.replace("{\n    i := i + 1;\n    s := s + i;\n  }", ""),
    "code beside an invariant": PROVED.replace("i <= n\n inv", "i <= n s := 1; inv"),
    "contract in a comment": PROVED.replace("ensures 2 * s == n * (n + 1)", "/* ensures 2 * s == n * (n + 1) */"),
    "nested comment": PROVED.replace("s := 0;", "/* /* */ s := 0; */ s := 0; s := 1;"),
    "ghost of the program's name": PROVED.replace("s := 0;", "s := 0; ghost var n := 1;"),
    "two ghosts": PROVED.replace("s := 0;", "s := 0; ghost var g, n := 1, 2;"),
    "call of a method": PROVED.replace("s := 0;", "s := 0; ghost var g := Sum(3);"),
    "such that": PROVED.replace("s := 0;", "s := 0; ghost var g :| g > g;"),
    "assertion in a contract": PROVED.replace("ensures 2 * s", "ensures assert true; 2 * s"),
    "extern": SUM.replace("method Sum", "method {:extern} Sum"),
    "include": 'include "x.dfy"\n' + PROVED,
    "opaque module": "module M { }\n" + PROVED,
    "havoc": PROVED.replace("s := 0;", "s := 0; ghost var g := *;"),
    "return": PROVED.replace("s := 0;", "s := 0; return;"),
    "assert by": PROVED.replace("s := 0;", "s := 0; assert 1 == 1 by { assume false; }"),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheats_are_refused_before_dafny_sees_them(cheat, monkeypatch):
    monkeypatch.setattr(dafny, "run", None)
    verdict = DafnyVerifier().judge(SUM, CHEATS[cheat])
    assert verdict.outcome == "refused", verdict
    assert verdict.detail


@pytest.mark.parametrize("answer", ["", "// nothing", "/* " + SUM, "method é() {}", "(" * 100])
def test_what_cannot_be_read_is_invalid(answer, monkeypatch):
    monkeypatch.setattr(dafny, "run", None)
    assert DafnyVerifier().judge(SUM, answer).outcome in ("invalid", "refused")


def test_tokens_by_hand():
    text = "a<==>b // c\n/* x /* y */ z */ d' := \"/*\"; '\\n'"
    assert tokens(text) == [("a", 1), ("<==>", 1), ("b", 1), ("d'", 2), (":=", 2), ('"/*"', 2), (";", 2), ("'\\n'", 2)]


def test_a_missing_dafny_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(dafny.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="apt install dafny"):
        DafnyVerifier().judge(SUM, PROVED)
    with pytest.raises(UserError, match="column `program`"):
        DafnyVerifier().verdicts(["p"], ["c"])


def test_a_crash_is_nobodys_verdict(monkeypatch):
    monkeypatch.setattr(dafny.shutil, "which", lambda _: "/usr/bin/dafny")
    said = "exit 134\nUnhandled Exception:\n"
    monkeypatch.setattr(dafny, "run", lambda *_: said)
    with pytest.raises(VerifierFailure, match="Unhandled"):
        DafnyVerifier().judge(SUM, PROVED)
    said = "exit 1\nDafny program verifier finished with 3 verified, 0 errors\n"
    with pytest.raises(VerifierFailure, match="finished"):
        DafnyVerifier().judge(SUM, PROVED)
    said = "exit 4\nDafny program verifier finished with 3 verified, 0 errors, 1 time out\n"
    assert DafnyVerifier().judge(SUM, PROVED).outcome == "timeout"


@needs_dafny
def test_an_answer_that_takes_too_long_is_ended():
    assert DafnyVerifier(seconds=0.2).judge(SUM, PROVED).outcome == "timeout"


@needs_dafny
def test_an_answer_in_a_fence_passes():
    verifier = DafnyVerifier()
    program = COUNT
    answer = f"Here it is:\n```dafny\n{PASS[3][1]}\n```\n"
    verdict = verifier.verdicts(["Prove it."], [answer], program=[program])[0]
    assert (verdict.outcome, verdict.share) == ("passed", 1.0), verdict
    assert verdict.record["columns"] == {"program": program}


@needs_dafny
@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PASS)))
def test_proofs_pass(number):
    assert DafnyVerifier().judge(*PASS[number]).outcome == "passed", DafnyVerifier().judge(*PASS[number])


@needs_dafny
@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(FAIL)))
def test_what_is_no_proof_fails_and_says_where(number):
    verdict = DafnyVerifier().judge(*FAIL[number])
    assert verdict.outcome == "wrong", verdict
    assert verdict.passed < verdict.of
    assert verdict.detail.startswith("line "), verdict


@needs_dafny
@pytest.mark.slow
def test_what_dafny_does_not_read_is_invalid_and_blamed_on_the_right_one():
    answer = PROVED.replace("i <= n", "i <= nobody")
    verdict = DafnyVerifier().judge(SUM, answer)
    assert verdict.outcome == "invalid"
    assert "nobody" in verdict.detail
    with pytest.raises(UserError, match="holds no program that it reads"):
        DafnyVerifier().judge("method M() { x := 1; }", "method M() { x := 1; }")
