"""Proxy against gold: how far a reward can be trusted.

The names here are imported when they are first used: a report needs far more than an alarm does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foolsgold.audit.arrays import audit_arrays
    from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
    from foolsgold.audit.trust import Trust

__all__ = ["Checkpoint", "Evidence", "Samples", "Trust", "audit_arrays"]

_FILES = {
    "audit_arrays": "arrays",
    "Checkpoint": "evidence",
    "Evidence": "evidence",
    "Samples": "evidence",
    "Trust": "trust",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
