"""Worlds of problems by name, each with the verifier that judges its answers."""

from __future__ import annotations

from collections.abc import Callable

from foolsgold.environments.problems import ProblemWorld
from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Limits
from foolsgold.rewards.verifiers.verdict import Verifier

LIMITS = Limits(cpu_s=0.25, wall_s=60.0)
"""Of an answer that is run: right ones take milliseconds, and a busy machine must not change a verdict. Endless loops
are so many among answers that their limit is felt."""


def _java() -> tuple[ProblemWorld, Verifier]:
    from foolsgold.environments.java_tasks.world import JavaTasks
    from foolsgold.rewards.verifiers.java import JavaVerifier

    # Its answers hold for small numbers, whose sums do not overflow.
    return JavaTasks(), JavaVerifier(generated=12, largest=99, limits=LIMITS)


def _code() -> tuple[ProblemWorld, Verifier]:
    from foolsgold.environments.code_tasks.world import CodeTasks
    from foolsgold.rewards.verifiers.code import CodeVerifier

    return CodeTasks(), CodeVerifier(limits=LIMITS)


def _annotations() -> tuple[ProblemWorld, Verifier]:
    from foolsgold.environments.loops.world import Loops
    from foolsgold.rewards.verifiers.annotations import AnnotationsVerifier

    return Loops(), AnnotationsVerifier()


def _coq() -> tuple[ProblemWorld, Verifier]:
    from foolsgold.environments.theorems.world import Theorems
    from foolsgold.rewards.verifiers.coq import STEPS, CoqVerifier

    return Theorems("coq"), CoqVerifier(tactics=STEPS)


def _lean() -> tuple[ProblemWorld, Verifier]:
    from foolsgold.environments.theorems.world import Theorems
    from foolsgold.rewards.verifiers.lean import STEPS, LeanVerifier

    return Theorems("lean"), LeanVerifier(tactics=STEPS)


WORLDS: dict[str, Callable[[], tuple[ProblemWorld, Verifier]]] = {
    "java": _java,
    "code": _code,
    "annotations": _annotations,
    "coq": _coq,
    "lean": _lean,
}
"""Made when asked for: each needs tools of its own."""


def load_world(name: str) -> tuple[ProblemWorld, Verifier]:
    """The world called `name` and its verifier.

    Raises:
      UserError: there is none of this name, or what its verifier needs is not installed.
    """
    if name not in WORLDS:
        raise UserError(f"there is no world {name!r}; choose one of: {', '.join(WORLDS)}")
    return WORLDS[name]()
