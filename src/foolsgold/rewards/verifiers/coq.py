"""Proofs checked by Coq: tactics are sent to `coqtop` one by one, and the statement never leaves our hands.

A completion can only hold tactics. Each sentence must begin with a tactic that is allowed, so there is no way to an
axiom, a notation, an option or another theorem; and at the end Coq's kernel checks the proof of *our* statement
(`Qed`), which must rest on no axiom (`Print Assumptions`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Limits, sandboxed
from foolsgold.rewards.verifiers.proof_sessions import Failure, ProofSession, ProofVerifier, State, words
from foolsgold.rewards.verifiers.tool_process import NoAnswer, ToolProcess
from foolsgold.rewards.verifiers.verdict import Verdict, VerifierFailure

STEPS = words(
    "intro intros split left right exact assumption apply destruct exfalso specialize assert enough constructor exists"
)
"""Tactics that take one step of a proof and look for nothing."""

AUTOMATION = STEPS | words(
    """
    absurd auto autorewrite case cbn cbv change clear compute congruence contradiction cut
    discriminate do easy eassumption eapply eassert eauto econstructor edestruct eexact eexists eleft elim eright
    erewrite esplit exact_no_check f_equal field firstorder first fold generalize hnf induction injection intuition
    inversion lapply lazymatch lia lra match nia now nra omega pose progress red refine reflexivity remember rename
    repeat replace revert rewrite ring rtauto set simpl simple solve subst symmetry tauto transitivity trivial try
    unfold
    """
)
"""Also tactics that search and those that combine others."""

_FORBIDDEN = words("admit give_up idtac fail gfail external ltac ltac2 native_compute vm_compute prompt time")
"""Words that have no place anywhere in a tactic: they leave gaps, print, or run more than a tactic."""

_HIDING = re.compile(r'"|\(\*|\.\.|#')
"""Strings, comments, `...` and attributes: what follows may not be what it looks like."""

_SELECTOR = re.compile(r"^(?:\d+|all|par|!)\s*:\s*")

_COMBINING = re.compile(r";|\b(?:by|using|with)\b|\$|:=|%")
"""What lets one sentence hold several tactics or reach beyond the goal; `STEPS` alone allows none of it."""

_PROMPT = re.compile(r"<prompt>(\w+) < (\d+) \|[^|]*\| \d+ < </prompt>")
_INFORMATION = re.compile(r"<infomsg>.*?</infomsg>", re.DOTALL)
_BULLET = re.compile(r"\s*([-+*]+|[{}])")
_WORD = re.compile(r"[A-Za-z_][\w']*")
_NAME = "the_theorem"
_LIMITS = Limits(cpu_s=36_000, wall_s=36_000, memory_mb=2048, files=1024, output_bytes=1 << 40)
"""Of the whole life of a coqtop; it is ended when one tactic takes too long."""
_GRACE_S = 5.0
"""Seconds after which a coqtop that has not ended a tactic at its time is itself ended."""
_LONG_S = 60.0
"""Seconds that a start, a module or the last check of a proof may take."""
CLOSED = "Closed under the global context"


def sentences(script: str) -> list[str]:
    """A script cut after each full stop that ends a sentence; bullets and braces are sentences of their own.

    `Proof.` at the beginning and `Qed.` at the end are taken away: both are the verifier's.
    """
    script = re.sub(r"^\s*Proof\s*\.(?=\s|$)", "", script)
    script = re.sub(r"(^|\s)Qed\s*\.\s*$", "", script)
    found: list[str] = []
    while script.strip():
        bullet = _BULLET.match(script)
        if bullet:
            found.append(bullet[1])
            script = script[bullet.end() :]
            continue
        sentence, stop, script = re.split(r"(\.)(?=\s|$)", script, maxsplit=1) if _ends(script) else (script, "", "")
        found.append(" ".join(sentence.split()) + stop)
    return found


def _ends(script: str) -> bool:
    return re.search(r"\.(?=\s|$)", script) is not None


def refusal(sentence: str, tactics: Collection[str] = AUTOMATION) -> Failure | None:
    """Why a sentence is not sent to Coq: refused where it would do more than prove, invalid where it is no tactic.

    Args:
      tactics: those that may be used; with only those of `STEPS`, a sentence holds exactly one tactic.
    """
    if _BULLET.fullmatch(sentence):
        return None
    if not sentence.isascii() or not sentence.isprintable():
        return Failure("invalid", "only printable ASCII can be a tactic")
    if not sentence.endswith("."):
        return Failure("invalid", "the sentence does not end with a full stop")
    hiding = _HIDING.search(sentence)
    if hiding:
        return Failure("refused", f"{hiding[0]!r} has no place in a proof")
    words = _WORD.findall(sentence)
    forbidden = _FORBIDDEN.intersection(words)
    if STEPS.issuperset(tactics):
        forbidden |= (AUTOMATION - STEPS).intersection(words)
        forbidden |= set(_COMBINING.findall(_SELECTOR.sub("", sentence)))
    if forbidden:
        return Failure("refused", f"{min(forbidden)!r} may not be used")
    head = _WORD.match(_SELECTOR.sub("", sentence).lstrip("(["))
    if head is not None and head[0] in tactics:
        return None
    command = head is not None and head[0][0].isupper()
    return Failure("refused" if command else "invalid", f"{head[0] if head else sentence[:20]!r} is no tactic to use")


@dataclass(frozen=True)
class _Reply:
    text: str
    theorem: str
    """The open theorem, `Coq` outside of one."""
    id: int


class CoqSession(ProofSession):
    """One `coqtop`; a state of it is reached again by going back to the last common step and replaying the rest."""

    def __init__(self, modules: Sequence[str] = (), tactics: Collection[str] = AUTOMATION, step_s: float = 2.0):
        """
        Args:
          modules: of Coq's library, required before all else, such as `Lia`.
          tactics: those that may be used.
          step_s: seconds that a tactic may take.
        """
        self.tool = "coq"
        self._modules, self._tactics, self._step_s = tuple(modules), tactics, step_s
        self._process: ToolProcess | None = None
        self._base = 0
        self._statement = ""
        self._path: list[tuple[str, int]] = []
        """Tactics that Coq has taken, and the number of the state before each."""
        self._id = 0

    def start(self, statement: str) -> State:
        return self._state(statement, (), self._shown(self._open(statement)))

    def apply(self, state: State, tactic: str) -> State | Failure:
        refused = refusal(tactic, self._tactics)
        if refused is not None:
            return refused
        try:
            before, reply = self._go_to(state, tactic)
            if reply.id == before:
                return _failure(reply.text)
            self._path.append((tactic, before))
            reply = self._shown(reply)
        except NoAnswer as error:
            return Failure("timeout", str(error))
        return self._state(state.statement, (*state.script, tactic), reply)

    def finish(self, state: State) -> Verdict:
        script = " ".join(state.script)
        if not state.solved:
            left = f"{len(state.goals)} goals are left" if len(state.goals) > 1 else "a goal is left"
            return self.verdict("wrong", left, state.statement, script)
        assumptions = ""
        try:
            # Coq reads proofs of its library from disk for this. One that a time limit cuts short counts as an axiom.
            for command in ("Qed.", "Unset Default Timeout.", f"Print Assumptions {_NAME}."):
                if command == "Qed.":
                    before, reply = self._go_to(state, command, _LONG_S)
                else:
                    before, reply = self._id, self._read(command, _LONG_S)
                if reply.id == before or reply.theorem != "Coq":
                    failure = _failure(reply.text)
                    return self.verdict(failure.outcome, failure.detail, state.statement, script)
                assumptions = " ".join(reply.text.split())
        except NoAnswer as error:
            return self.verdict("timeout", str(error), state.statement, script)
        finally:
            self._statement = ""  # the theorem is closed; the next call opens its own
        if assumptions != CLOSED:
            return self.verdict("refused", assumptions, state.statement, script, assumptions=assumptions)
        return self.verdict("passed", "", state.statement, script, assumptions=assumptions)

    def sentences(self, script: str) -> list[str]:
        return sentences(script)

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None
            self._statement = ""

    def _open(self, statement: str) -> _Reply:
        if not statement.isascii() or not statement.isprintable() or _ends(statement) or "(*" in statement:
            raise UserError(f"{statement!r} is not one Coq statement on one line, such as (p q : Prop) : p -> q -> p")
        try:
            reply = self._opened(statement)
        except NoAnswer:  # the process may have died unseen; a new one gets its chance
            try:
                reply = self._opened(statement)
            except NoAnswer as error:
                raise VerifierFailure(f"coqtop does not answer: {error}") from error
        if reply.theorem != _NAME:
            raise UserError(f"Coq does not take {statement!r} as a statement: {_failure(reply.text).detail}")
        self._statement, self._path = statement, []
        return reply

    def _opened(self, statement: str) -> _Reply:
        if self._process is None:
            self._launch()
        self._send(f"BackTo {self._base}.")
        return self._send(f"Theorem {_NAME} {statement}.")

    def _launch(self) -> None:
        coqtop = shutil.which("coqtop")
        if coqtop is None:
            raise VerifierFailure("coqtop is missing; install Coq, on Debian with: apt install coq")
        prefix = Path(coqtop).resolve().parents[1]
        configuration = Path("/etc/ocamlfind.conf")  # Debian's coqtop does not start without
        readable = [path for path in (prefix, configuration) if path.exists() and path != Path("/usr")]
        self._process = ToolProcess(sandboxed([coqtop, "-emacs", "-q"], limits=_LIMITS, readable=readable))
        banner = self._read("", _LONG_S)
        self.tool = " ".join(banner.text.split()[2:4]).lower()
        for module in self._modules:
            before = self._id
            if self._read(f"Require Import {module}.", _LONG_S).id == before:
                self.close()
                raise UserError(f"Coq has no module {module!r}; name modules of its library, such as Lia")
        self._send(f"Set Default Timeout {max(1, round(self._step_s))}.")
        self._base = self._id

    def _shown(self, reply: _Reply) -> _Reply:
        """A reply with its goals. Coq leaves them out where it thinks that they are those it printed last.

        It goes by their numbers, and after going back the same numbers are given to other goals.
        """
        return reply if reply.text else self._send("Show.")

    def _send(self, sentence: str) -> _Reply:
        return self._read(sentence, self._step_s + _GRACE_S)

    def _read(self, sentence: str, limit_s: float) -> _Reply:
        return self._read_all([sentence], limit_s)[0]

    def _read_all(self, sentences: Sequence[str], limit_s: float) -> list[_Reply]:
        """Replies to sentences that are sent together: it is the way there and back that takes time, not the proof."""
        assert self._process is not None
        count = len(sentences)
        try:
            answer = self._process.ask(
                "\n".join(sentences),
                lambda said: said.endswith(b"</prompt>") and said.count(b"<prompt>") >= count,
                limit_s,
            )
        except NoAnswer:
            self.close()
            raise
        *said, rest = _PROMPT.split(answer)  # what is said, the theorem and the number, again and again
        if rest or len(said) != 3 * count or answer.count("<prompt>") != count:
            self.close()
            raise NoAnswer("coqtop answered with more prompts than it was asked")
        self._id = int(said[-1])
        parts = zip(said[::3], said[1::3], said[2::3], strict=True)
        return [_Reply(_INFORMATION.sub("", text).strip(), theorem, int(number)) for text, theorem, number in parts]

    def _go_to(self, state: State, sentence: str, limit_s: float = 0.0) -> tuple[int, _Reply]:
        """Go back to a state and on with a sentence: the number of the state, and the reply to the sentence.

        Args:
          limit_s: for the sentence; 0 for that of a tactic.
        """
        if self._process is None or self._statement != state.statement:
            self._open(state.statement)
        common = 0
        for (done, _), wanted in zip(self._path, state.script, strict=False):
            if done != wanted:
                break
            common += 1
        before = self._path[common][1] if common < len(self._path) else self._id
        back = [f"BackTo {before}."] if before != self._id else []
        again = state.script[common:]
        seconds = self._step_s * len(again) + _GRACE_S + (limit_s or self._step_s)
        replies = self._read_all([*back, *again, sentence], seconds)[len(back) :]
        del self._path[common:]
        for tactic, reply in zip(again, replies, strict=False):
            if reply.id == before:
                self.close()
                raise VerifierFailure(f"coqtop did not take again what it had taken before: {reply.text[:200]}")
            self._path.append((tactic, before))
            before = reply.id
        return before, replies[-1]

    def _state(self, statement: str, script: tuple[str, ...], reply: _Reply) -> State:
        return State(statement, script, _goals(reply.text), reply.text == "No more goals.")


def _goals(text: str) -> tuple[str, ...]:
    """Coq shows the first goal with its hypotheses, and of the others what is to be shown."""
    if text == "No more goals.":
        return ()
    first, *others = re.split(r"\n\s*goal \d+(?: \(ID \d+\))? is:\n", text)
    return tuple(part.strip("\n ") for part in (re.sub(r"^\d+ goals?(?: \(ID \d+\))?\s*\n", "", first), *others))


def _failure(text: str) -> Failure:
    detail = " ".join(text.partition("Error:")[2].split()) or " ".join(text.split())
    if detail.startswith("Timeout"):
        return Failure("timeout", "the tactic took too long")
    return Failure("invalid" if detail.startswith("Syntax error") else "wrong", detail[:300])


class CoqVerifier(ProofVerifier):
    """Coq as a verifier of tactic scripts; see `ProofVerifier`."""

    def __init__(self, modules: Sequence[str] = (), tactics: Collection[str] = AUTOMATION, step_s: float = 2.0):
        """Args: as of `CoqSession`; `STEPS` where an answer such as `tauto.` would be no feat."""
        super().__init__("coq", CoqSession(modules, tactics, step_s))
