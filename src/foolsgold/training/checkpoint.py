"""Checkpoints: tensors and what belongs to them in one safetensors file, whole or not there at all.

The file is replaced in one step, so at every moment, also when the process is killed, a valid one is in its place.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from foolsgold.errors import UserError
from foolsgold.files import replacing

FORMAT_VERSION = 1


def save(path: str | Path, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write a checkpoint; it is on the disk when this returns.

    Args:
      path: where to; a file there stays as it is until the new one is complete.
      tensors: of any shapes, types and devices; what shares memory (tied weights) is written once for each name.
      meta: what JSON can hold: step, counters, states of random generators.

    Raises:
      UserError: the disk is full or the folder cannot be written. The old file is intact, no other is left.
      TypeError: JSON cannot hold `meta`.
    """
    path = Path(path)
    owned = _owned(tensors)
    header = {
        "format": "pt",
        "foolsgold_checkpoint": str(FORMAT_VERSION),
        "meta": json.dumps(meta),
        "crc32": str(_crc32(owned)),
    }
    with replacing(path) as part:
        try:
            save_file(owned, part, metadata=header)
        except SafetensorError as error:
            raise UserError(f"cannot write {path}: {error}") from error


def load(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a checkpoint: its tensors, on the CPU, and its meta; also while a run goes on writing it.

    Raises:
      UserError: there is no such file, it is damaged, it is no checkpoint of ours, or it has another format.
    """
    path = Path(path)
    while True:
        identity = _identity(path)
        try:
            return _load(path)
        except UserError:
            # safetensors opens the file twice, for the header and for the tensors: it may have been replaced between.
            if _identity(path) == identity:
                raise


def _identity(path: Path) -> tuple[int, int, int]:
    """Changes when the file is replaced."""
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}")
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            _check_format(path, header)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        meta = json.loads(header["meta"])
        whole = header["crc32"] == str(_crc32(tensors))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:  # torch says RuntimeError of a short file
        raise UserError(_damaged(path, str(error))) from error
    if not whole:
        raise UserError(_damaged(path, "its checksum is wrong"))
    return tensors, meta


def _check_format(path: Path, header: dict[str, str]) -> None:
    version = header.get("foolsgold_checkpoint")
    if version is None:
        raise UserError(f"{path} holds tensors but is no foolsgold checkpoint; name a file from a run's checkpoints/")
    if version != str(FORMAT_VERSION):
        raise UserError(
            f"{path} is a checkpoint of format {version}, but this foolsgold reads format {FORMAT_VERSION}; "
            "resume with the foolsgold that wrote it"
        )


def _damaged(path: Path, reason: str) -> str:
    reason = reason.replace("\n", " ")
    return f"{path} is damaged ({reason}); delete it to fall back to the checkpoint before it, or to start afresh"


def _owned(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors on the CPU, contiguous, none sharing memory with another, as safetensors asks."""
    owned: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        if own.untyped_storage().data_ptr() in seen:
            own = own.clone()
        seen.add(own.untyped_storage().data_ptr())
        owned[name] = own
    return owned


def _crc32(tensors: dict[str, torch.Tensor]) -> int:
    """Over the bytes of all tensors in the order of their names."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc
