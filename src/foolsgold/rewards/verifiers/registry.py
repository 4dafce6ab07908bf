"""Verifiers by the names under which a command line asks for them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.verdict import Verifier, VerifierReward

PREFIX = "verifier:"
"""Begins the place of a reward that is a verifier."""
PARTIAL = "+partial"
"""Ends it where checks passed count by their share."""
VERIFIERS = {
    "annotations": "AnnotationsVerifier",
    "code": "CodeVerifier",
    "coq": "CoqVerifier",
    "dafny": "DafnyVerifier",
    "frama-c": "FramaCVerifier",
    "java": "JavaVerifier",
    "lean": "LeanVerifier",
    "maths": "MathsVerifier",
}
"""Name to class, which lies in the module of this name, with _ for -, and is imported when it is asked for."""


def load_verifier(name: str, **settings: Any) -> Verifier:
    """The verifier called `name`, made with `settings`.

    Raises:
      UserError: there is none of this name, or what it needs is not installed.
    """
    return cast(Verifier, _class(name)(**settings))


def verifier_of(record: Mapping[str, Any], **settings: Any) -> Verifier:
    """The verifier that made a verdict's `record`, with the limits that it had then where it keeps them.

    Raises:
      UserError: as for `load_verifier`.
    """
    found = _class(str(record.get("verifier")))
    made = found.of_record(record, **settings) if hasattr(found, "of_record") else found(**settings)
    return cast(Verifier, made)


def load_verifier_reward(place: str) -> VerifierReward:
    """The reward that `verifier:NAME` or `verifier:NAME+partial` stands for.

    Raises:
      UserError: as for `load_verifier`.
    """
    name = place.removeprefix(PREFIX)
    return VerifierReward(load_verifier(name.removesuffix(PARTIAL)), partial=name.endswith(PARTIAL))


def _class(name: str) -> Any:
    if name not in VERIFIERS:
        raise UserError(f"there is no verifier {name!r}; choose one of: {', '.join(VERIFIERS)}")
    return getattr(importlib.import_module(f"foolsgold.rewards.verifiers.{name.replace('-', '_')}"), VERIFIERS[name])
