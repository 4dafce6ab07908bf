"""Proofs checked by Lean 4: tactics act on states that Lean keeps, and the kernel has the last word.

Lean runs `lean/session.lean`, natively where `lean` is on the path, else as WebAssembly under Node; see
`lean_install`. The statement is ours from the first state to the last: what a completion brings are tactics, and the
proof that they leave is checked by the kernel against our type in an environment that no tactic has touched. Words
that could do more than prove are refused before Lean sees them.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import textwrap
from collections.abc import Collection
from pathlib import Path
from typing import Any

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Limits, sandboxed
from foolsgold.rewards.verifiers import lean_install
from foolsgold.rewards.verifiers.proof_sessions import Failure, ProofSession, ProofVerifier, State, words
from foolsgold.rewards.verifiers.tool_process import NoAnswer, ToolProcess
from foolsgold.rewards.verifiers.verdict import Outcome, Verdict, VerifierFailure

STEPS = words(
    "intro intros constructor left right exact assumption apply cases rcases obtain exfalso specialize have exists"
)
"""Tactics that take one step of a proof and look for nothing."""

_AUTOMATION = words(
    """
    ac_rfl aesop all_goals any_goals apply_assumption bv_decide bv_omega by contradiction decide first grind
    infer_instance iterate nofun nomatch norm_cast omega repeat rfl rw simp simp_all simp_arith simpa solve
    solve_by_elim split subst_vars tauto trivial try
    """
)
_FORBIDDEN = words(
    """
    sorry sorryAx admit stop native native_decide ofReduceBool ofReduceNat reduceBool reduceNat trustCompiler
    run_tac run_elab run_meta by_elab elab eval macro notation syntax open set_option axiom opaque unsafe unsafeCast
    implemented_by extern csimp initialize include_str IO Lean Elab Meta dbg_trace dbgTrace dbgTraceVal dbgTraceIfShared
    panic trace lcProof lcUnreachable skipKernelTC
    """
)
"""Words that have no place anywhere in a proof: they leave gaps, run programs, print, or change what words mean."""

_WORD = re.compile(r"[^\W\d][\w!?']*")
_COMBINING = re.compile(r"<;>|=>|[·{}#\n;]")
"""What lets one step hold several tactics."""

_SESSION = Path(__file__).parent / "lean" / "session.lean"
_LIMITS = Limits(
    cpu_s=360_000, wall_s=360_000, memory_mb=12_288, processes=256, files=1024, output_bytes=1 << 40, disk_mb=256
)
"""Of the whole life of a Lean, which takes about 4 GB; it is ended when one answer takes too long."""
_START_S = 600.0
_HEARTBEATS = 200_000
"""In thousands of small allocations, Lean's own measure of work; what it gives a theorem by default."""
_MOST_STATES = 5_000
"""Kept by Lean before it is told to forget them all."""


def refusal(tactic: str, tactics: Collection[str] | None = None) -> Failure | None:
    """Why a tactic is not sent to Lean: refused where it would do more than prove, invalid where it is no tactic.

    Args:
      tactics: those that may be used, one at a time; None for all that only prove, in blocks of any form.
    """
    found = _WORD.findall(tactic)
    forbidden = _FORBIDDEN.intersection(found) | set(re.findall('["#]', tactic))
    if tactics is not None:
        forbidden |= (_AUTOMATION.intersection(found) - set(tactics)) | set(_COMBINING.findall(tactic))
    if forbidden:
        return Failure("refused", f"{min(forbidden)!r} may not be used")
    if tactics is not None and (not found or found[0] not in tactics or not tactic.lstrip().startswith(found[0])):
        return Failure("invalid", f"{tactic.split(maxsplit=1)[0] if tactic.split() else ''!r} is no tactic to use")
    return None


class LeanSession(ProofSession):
    """One Lean. Its start takes most of a minute as WebAssembly; states are kept, so branching costs nothing."""

    def __init__(self, tactics: Collection[str] | None = None, step_s: float = 20.0, folder: Path | None = None):
        """
        Args:
          tactics: those that may be used, one at a time; None for all that only prove, in blocks of any form.
          step_s: seconds that an answer may take; one that takes longer costs a new start.
          folder: where Lean is installed; None for the folder that `lean_install` takes by itself.
        """
        self.tool = "lean"
        self._tactics, self._step_s = tactics, step_s
        self._folder = folder or lean_install.default_folder()
        self._process: ToolProcess | None = None
        self._secret = b""
        self._ids: dict[tuple[str, tuple[str, ...]], int] = {}

    def start(self, statement: str) -> State:
        try:
            return self._start(statement)
        except NoAnswer as error:
            raise VerifierFailure(f"Lean does not answer: {error}") from error

    def apply(self, state: State, tactic: str) -> State | Failure:
        refused = refusal(tactic, self._tactics)
        if refused is not None:
            return refused
        try:
            return self._apply(state, tactic)
        except NoAnswer as error:
            return Failure("timeout", str(error))

    def finish(self, state: State) -> Verdict:
        script = "; ".join(state.script)
        if not state.solved:
            left = f"{len(state.goals)} goals are left" if len(state.goals) > 1 else "a goal is left"
            return self.verdict("wrong", left, state.statement, script)
        try:
            reply = self._ask({"do": "finish", "id": self._id(state)})
        except NoAnswer as error:
            return self.verdict("timeout", str(error), state.statement, script)
        if "error" in reply:
            failure = _failure(reply["error"])
            return self.verdict(failure.outcome, failure.detail, state.statement, script)
        return self.verdict("passed", "", state.statement, script)

    def sentences(self, script: str) -> list[str]:
        """Single tactics, each after a `;` or on a line of its own; else the whole script as one block."""
        block = textwrap.dedent(re.sub(r"^\s*(?::=\s*)?by\b(?: *\n)?", "", script).rstrip()).strip("\n")
        if self._tactics is None:
            return [block] if block.strip() else []
        return [part.strip() for part in re.split(r"[;\n]", block) if part.strip()]

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None
        self._ids = {}

    def _start(self, statement: str) -> State:
        if len(self._ids) > _MOST_STATES:
            self._ask({"do": "forget"})
            self._ids = {}
        proposition, binders = _closed(statement)
        reply = self._ask({"do": "start", "type": proposition, "binders": binders})
        if "error" in reply:
            raise UserError(f"Lean does not take {statement!r} as a statement: {_failure(reply['error']).detail}")
        return self._state(statement, (), reply)

    def _apply(self, state: State, tactic: str) -> State | Failure:
        reply = self._ask({"do": "apply", "id": self._id(state), "tactic": tactic})
        if "error" in reply:
            return _failure(reply["error"])
        return self._state(state.statement, (*state.script, tactic), reply)

    def _id(self, state: State) -> int:
        """Lean's number of a state; made again, tactic by tactic, where Lean was started anew meanwhile.

        Raises:
          VerifierFailure: Lean did not take again what it had taken before.
        """
        if (state.statement, state.script) not in self._ids:
            again: State | Failure = self._start(state.statement)
            for tactic in state.script:
                assert isinstance(again, State)
                again = self._apply(again, tactic)
                if isinstance(again, Failure):
                    raise VerifierFailure(f"Lean did not take {tactic!r} again: {again.detail}")
        return self._ids[state.statement, state.script]

    def _state(self, statement: str, script: tuple[str, ...], reply: dict[str, Any]) -> State:
        self._ids[statement, script] = reply["id"]
        goals = tuple(reply["goals"])
        return State(statement, script, goals, not goals)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self._launch()
        line = json.dumps({**request, "heartbeats": _HEARTBEATS}, ensure_ascii=False)
        return self._read(line, self._step_s)

    def _read(self, line: str, limit_s: float) -> dict[str, Any]:
        assert self._process is not None
        # The WebAssembly build prints its arguments, so the secret counts only where a line begins with it.
        reply = re.compile(rb"^" + self._secret + rb"(\{.*\})\n", re.MULTILINE)
        try:
            said = self._process.ask(line, lambda said: reply.search(said) is not None, limit_s)
        except NoAnswer:
            self.close()
            raise
        found = reply.search(said.encode())
        assert found is not None
        return json.loads(found[1])

    def _launch(self) -> None:
        self._ids = {}
        secret = secrets.token_hex(16)
        self._secret = secret.encode()
        native = shutil.which("lean")
        if native is not None:
            prefix = Path(native).resolve().parents[1]
            argv = [str(Path(native).resolve()), "--run", str(_SESSION), secret]
            self._process = ToolProcess(sandboxed(argv, limits=_LIMITS, readable=[prefix, _SESSION.parent]))
        else:
            if not lean_install.installed(self._folder):
                raise VerifierFailure("Lean is not installed; run: foolsgold tools --install lean")
            # What Lean runs must lie in its folder: it sees no other.
            program = self._folder / f"session-{lean_install.fingerprint(_SESSION)}.lean"
            if not program.exists():
                shutil.copy(_SESSION, program)
            argv = [str(self._folder / "node"), str(self._folder / "lean.js"), "--run", program.name, secret]
            library = {"LEAN_PATH": "/lean/lib"}
            self._process = ToolProcess(sandboxed(argv, limits=_LIMITS, readable=[self._folder], environment=library))
        try:
            self.tool = f"lean {self._read('', _START_S)['version']}"
        except NoAnswer as error:
            raise VerifierFailure(f"Lean does not start: {error}") from error


def _closed(statement: str) -> tuple[str, int]:
    """A statement such as `(p q : Prop) : p → q` as one type, `∀ (p q : Prop), p → q`, and how many names it binds.

    Raises:
      UserError: it has no colon outside of brackets.
    """
    depth = 0
    for i, sign in enumerate(statement):
        depth += (sign in "([{⦃⟨") - (sign in ")]}⦄⟩")
        if sign == ":" and depth == 0:
            binders, proposition = statement[:i].strip(), statement[i + 1 :].strip()
            groups = re.findall(r"[({\[⦃]([^:]*):", binders)
            return (f"∀ {binders}, {proposition}" if binders else proposition), sum(len(g.split()) for g in groups)
    raise UserError(
        f"{statement!r} is no statement; write what follows the theorem's name, as (p q : Prop) : p → q → p"
    )


def _failure(error: str) -> Failure:
    outcome: Outcome = "wrong"
    if error.startswith("syntax:"):
        outcome = "invalid"
    elif error.startswith("it rests on"):
        outcome = "refused"
    elif "(deterministic) timeout" in error or "maximum recursion depth" in error:
        outcome = "timeout"
    return Failure(outcome, " ".join(error.split())[:300])


class LeanVerifier(ProofVerifier):
    """Lean as a verifier of tactic scripts; see `ProofVerifier`."""

    def __init__(self, tactics: Collection[str] | None = None, step_s: float = 20.0, folder: Path | None = None):
        """Args: as of `LeanSession`; `STEPS` where an answer such as `simp_all` would be no feat."""
        super().__init__("lean", LeanSession(tactics, step_s, folder))
