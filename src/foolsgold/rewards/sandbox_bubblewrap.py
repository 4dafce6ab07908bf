"""Command lines of bubblewrap: what a sandboxed process sees of the system, and who it is there."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox_jobs import Limits

SEEN = ("/etc/alternatives", "/etc/ld.so.cache")
"""Beside /usr, where they exist: what programs of the system need to be found and linked."""
DEVICES = ("null", "zero", "full", "random", "urandom")


def sandboxed(
    argv: Sequence[str],
    *,
    limits: Limits,
    readable: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """The command line that runs a long-lived tool, such as a JVM, under bubblewrap.

    It has no network, a clean environment, a read-only system and /tmp, empty, to write in; started as root it runs as
    a user that owns nothing. Of `limits`, the memory counts what each process writes to and not what it reserves, and
    the clock is the caller's: kill the process at the time.

    Args:
      argv: program and arguments.
      readable: files and folders beside /usr that it may read, at the same path. Started as root: everybody may.
      environment: variables beside PATH, HOME and LANG.

    Raises:
      UserError: bubblewrap is missing, or nobody but root can get at something in `readable`.
    """
    for path in readable:
        if not reachable(path):
            raise UserError(f"{path} cannot be read by the sandbox's user; put it where everybody may read it")
    shown = [part for path in readable for part in ("--ro-bind", str(path), str(path))]
    wanted = [part for name, value in (environment or {}).items() for part in ("--setenv", name, value)]
    most = {
        "data": limits.memory_mb << 20,
        "nproc": limits.processes,
        "nofile": limits.files,
        "fsize": limits.disk_mb << 20,
        "core": 0,
    }
    capped = ["/usr/bin/prlimit", *(f"--{name}={value}" for name, value in most.items()), "--"]
    # /tmp comes first: what may be read can lie in it.
    return enclosed([*small_folder(limits), *shown, *wanted], [*capped, *argv])


def small_folder(limits: Limits) -> list[str]:
    return ["--size", str(limits.disk_mb << 20), "--tmpfs", "/tmp"]


def enclosed(options: Sequence[str], argv: Sequence[str]) -> list[str]:
    """`argv` in new namespaces of every kind, with /usr, some devices and what `options` add.

    Raises:
      UserError: bubblewrap is missing.
    """
    bwrap = find()
    if bwrap is None:
        raise UserError(
            "the sandbox needs bubblewrap (apt install bubblewrap; Linux only); without it, --unsafe-subprocess or "
            "unsafe_subprocess=True runs programs with time limits alone: only where you trust them"
        )
    links = [
        part
        for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
        for part in _as_on_the_system(name)
        if Path("/", name).exists()
    ]
    devices = [part for name in DEVICES for part in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")]
    seen = [part for path in SEEN for part in ("--ro-bind-try", path, path)]
    return [
        # The environment that bubblewrap itself starts with can be read in /proc/1/environ.
        "/usr/bin/env", "-i", "PATH=/usr/bin:/bin", *_nobody(),
        bwrap, "--unshare-all", "--die-with-parent", "--new-session",
        "--setenv", "PATH", "/usr/bin", "--setenv", "HOME", "/tmp", "--setenv", "LANG", "C.UTF-8",
        "--ro-bind", "/usr", "/usr", *links, *seen, "--proc", "/proc", "--dir", "/dev", *devices,
        *options, "--chdir", "/tmp", "--remount-ro", "/", "--", *argv,
    ]  # fmt: skip


def find() -> str | None:
    """The path of bubblewrap, if it is installed."""
    return shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/bin")


def interpreter() -> tuple[list[str], list[str]]:
    """Options that show the sandbox a Python without site packages, and its path: this one, or else the system's.

    Raises:
      UserError: there is none that the sandbox's user may run.
    """
    own = Path(sys.base_prefix)
    for prefix in (own, Path("/usr")):
        python = prefix / "bin" / "python3"
        if python.exists() and reachable(python.resolve()) and reachable(prefix / "lib"):
            shown = [] if prefix.is_relative_to("/usr") else ["--ro-bind", str(prefix), str(prefix)]
            return shown, [str(python)]
    raise UserError(f"the sandbox's user may not run {own}/bin/python3 and there is no other: apt install python3")


def reachable(path: Path) -> bool:
    """Whether the sandbox's user can read `path`."""
    if not _is_root():
        return os.access(path, os.R_OK)
    try:
        above = all(folder.stat().st_mode & 0o001 for folder in path.parents)
        return above and bool(path.stat().st_mode & 0o004)
    except FileNotFoundError:
        return False


def _as_on_the_system(name: str) -> list[str]:
    path = Path("/", name)
    if path.is_symlink():
        return ["--symlink", os.readlink(path), str(path)]
    return ["--ro-bind", str(path), str(path)]


def _nobody() -> list[str]:
    """Gives up root before anything else; an ordinary user stays who it is."""
    if not _is_root():
        return []
    return [
        "/usr/bin/setpriv",
        f"--reuid={unused_id()}",
        f"--regid={unused_id()}",
        "--clear-groups",
        "--no-new-privs",
    ]


def _is_root() -> bool:
    return os.geteuid() == 0


@cache
def unused_id() -> int:
    """A number that is no user's: nothing on this machine belongs to it."""
    for number in range(61184, 65520):
        try:
            pwd.getpwuid(number)
        except KeyError:
            return number
    raise UserError("all user ids from 61184 to 65519 are taken; start foolsgold as an ordinary user")
