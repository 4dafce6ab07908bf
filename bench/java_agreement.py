"""How far the reference translations of TransCoder's test set agree with their Java methods, and why not.

    python bench/java_agreement.py FOLDER

FOLDER holds the set's `java/NAME.java` and `python/NAME.py` at any depth. Prints markdown, which docs/java-agreement.md
holds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from foolsgold.rewards.sandbox import Limits, Sandbox
from foolsgold.rewards.verifiers.java import JavaVerifier
from foolsgold.rewards.verifiers.java_agreement import agreement_report, report, transcoder_pairs

LIMITS = Limits(cpu_s=20.0, wall_s=120.0)
"""Of a translation's 26 or so calls: given inputs are larger than generated ones."""


def main(folder: Path) -> None:
    pairs = transcoder_pairs(folder)
    with Sandbox() as sandbox, JavaVerifier(sandbox=sandbox, limits=LIMITS) as verifier:
        print(report(agreement_report(pairs, verifier, sandbox)), end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
