"""The folder of one run: what was run, on what, every metric, and the checkpoints to go on from."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from itertools import count
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from foolsgold.errors import UserError
from foolsgold.files import replacing, written

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FORMAT_VERSION = 1
PACKAGES = ("foolsgold", "torch", "numpy", "numba", "openvino", "safetensors", "transformers", "scipy")


class RunFolder:
    """`runs/<study>-<stamp>/` of one run; make it with `create`, take it up again with `open`.

    Holds `config.json`, `metrics.jsonl`, TensorBoard events in `tb/`, and `checkpoints/`. One process writes to it.
    """

    def __init__(self, path: Path, record: dict[str, Any]):
        self.path = path
        self.record = record
        """All of `config.json`: study, config, versions, machine, command, time of creation."""
        self._events: SummaryWriter | None = None
        self._purge_step: int | None = None
        with written(self._metrics_path):
            # Unbuffered: each line is with the system before `log` returns, and a refused one leaves nothing behind.
            self._metrics = open(self._metrics_path, "a+b", buffering=0)  # noqa: SIM115 (closed in `close`)

    @classmethod
    def create(cls, root: str | Path, study: str, config: Mapping[str, Any], config_version: int = 1) -> RunFolder:
        """Make a new run folder under `root`, which is made where missing; no folder is ever overwritten.

        Args:
          root: folder of all runs.
          study: name of the study; the folder is called after it and the time in UTC.
          config: every value that sets the run, also derived ones, as JSON can hold them; others become text.
          config_version: the study's own number for the meaning of `config`, checked by `open`.

        Raises:
          UserError: the disk is full or `root` cannot be written.
        """
        root, now = Path(root), datetime.now(UTC)
        with written(root):
            root.mkdir(parents=True, exist_ok=True)
            path = _new_folder(root, f"{study}-{now:%Y%m%d-%H%M%S}")
            (path / "checkpoints").mkdir()
        record = {
            "format": FORMAT_VERSION,
            "study": study,
            "config_version": config_version,
            "created": now.isoformat(timespec="seconds"),
            "command": sys.argv,
            "config": dict(config),
            "versions": _versions(),
            "machine": _machine(),
        }
        text = json.dumps(record, indent=2, default=str)
        with replacing(path / "config.json") as part:
            part.write_text(text + "\n", encoding="utf-8")
        return cls(path, json.loads(text))

    @classmethod
    def open(cls, path: str | Path, study: str, config_version: int = 1) -> RunFolder:
        """Take up the run in the folder `path`; half a metrics line from a crash is dropped.

        Raises:
          UserError: `path` is no run folder, or one of another study or of another format.
        """
        path = Path(path)
        record = _read_record(path)
        if record["study"] != study:
            raise UserError(f"{path} is a run of the study {record['study']}, not of {study}")
        for what, found, known in (
            ("format", record["format"], FORMAT_VERSION),
            (f"{study} config version", record["config_version"], config_version),
        ):
            if found != known:
                raise UserError(
                    f"{path} has {what} {found}, but this foolsgold reads {known}; resume with the foolsgold that "
                    "wrote it, or start a new run"
                )
        run = cls(path, record)
        run._drop_half_line()
        return run

    @property
    def config(self) -> dict[str, Any]:
        """The config as `create` was given it, after one trip through JSON."""
        return self.record["config"]

    @property
    def checkpoints(self) -> Path:
        """Folder for checkpoints."""
        return self.path / "checkpoints"

    def log(self, step: int, **values: Any) -> None:
        """Append one line of metrics, and its numbers to TensorBoard; `log(3, **{"rl/win_rate": 0.6})` nests names.

        Args:
          step: counts from 0 up, never down.
          values: numbers, NumPy arrays or tensors, or what JSON can hold; NaN and infinities are kept as such.

        Raises:
          UserError: the disk is full; the line is taken back whole.
        """
        row = {"step": step, **{name: _plain(value) for name, value in values.items()}}
        self._append(json.dumps(row).encode() + b"\n")
        with written(self.path / "tb"):
            events = self._event_writer()
            for name, value in row.items():
                if name != "step" and isinstance(value, Real) and not isinstance(value, bool):
                    events.add_scalar(name, value, step)

    def metrics(self) -> list[dict[str, Any]]:
        """All metrics lines in order, each `{"step": …, name: value, …}`; a half-written last line is left out.

        Raises:
          UserError: a line is no metrics line.
        """
        rows = []
        for number, line in enumerate(self._lines(), start=1):
            try:
                row = json.loads(line)
                row["step"]
            except (ValueError, TypeError, KeyError):
                raise UserError(f"{self._metrics_path}: line {number} is no metrics line; delete it") from None
            rows.append(row)
        return rows

    def truncate_after(self, step: int) -> None:
        """Drop metrics of steps after `step`, from which the run goes on, so that no step is there twice.

        Raises:
          UserError: the disk is full or a line is no metrics line; nothing is dropped.
        """
        kept = [
            line for line, row in zip(self._lines(), self.metrics(), strict=True) if row["step"] <= step
        ]  # lines as they are, so that kept ones stay the same to the byte
        self.close()
        with replacing(self._metrics_path) as part:
            part.write_bytes(b"".join(kept))
        self._purge_step = step + 1  # TensorBoard hides what an earlier attempt wrote from here on
        with written(self._metrics_path):
            self._metrics = open(self._metrics_path, "a+b", buffering=0)  # noqa: SIM115

    def close(self) -> None:
        """Close the files.

        Raises:
          UserError: the disk is full and the last TensorBoard events are lost; `metrics.jsonl` has them.
        """
        self._metrics.close()
        events, self._events = self._events, None
        if events is not None:
            with written(self.path / "tb"):
                events.close()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def _metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def _lines(self) -> list[bytes]:
        """Whole lines, with their ends."""
        content = self._metrics_path.read_bytes()
        return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)

    def _append(self, line: bytes) -> None:
        with written(self._metrics_path):
            start = os.fstat(self._metrics.fileno()).st_size
            try:
                done = 0
                while done < len(line):
                    done += self._metrics.write(line[done:])
            except OSError:
                with suppress(OSError):
                    self._metrics.truncate(start)
                raise

    def _drop_half_line(self) -> None:
        with written(self._metrics_path):
            self._metrics.truncate(sum(map(len, self._lines())))

    def _event_writer(self) -> SummaryWriter:
        if self._events is None:
            from torch.utils.tensorboard import SummaryWriter  # takes seconds, so only where metrics are written

            self._events = SummaryWriter(str(self.path / "tb"), purge_step=self._purge_step, flush_secs=10)
        return self._events


def _new_folder(root: Path, name: str) -> Path:
    for number in count(1):
        path = root / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError("unreachable")


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads((path / "config.json").read_text(encoding="utf-8"))
        if {"format", "study", "config_version", "config"} <= record.keys():
            return record
    except (OSError, ValueError, AttributeError):
        pass
    raise UserError(f"{path} is no run folder (it has no config.json of a run); name one such as runs/<study>-<stamp>")


def _plain(value: Any) -> Any:
    """Scalars and arrays of NumPy and torch as Python numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _machine() -> dict[str, Any]:
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "cpu_model": _cpu_model(),
        "torch_threads": torch.get_num_threads(),
        "cuda_devices": devices,
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
