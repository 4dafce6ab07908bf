import errno
import itertools
import multiprocessing
import os
import subprocess
import time
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file, save_file

from foolsgold.errors import UserError
from foolsgold.training import checkpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "step-7.safetensors"


def files(path) -> list[str]:
    return sorted(os.listdir(path.parent))


def test_tensors_of_every_kind_and_meta_come_back(path):
    tensors = {
        "matrix": torch.arange(12.0).reshape(3, 4),
        "turned": torch.arange(12.0).reshape(3, 4).T,
        "scalar": torch.tensor(2, dtype=torch.int64),
        "empty": torch.zeros(0, 3),
        "half": torch.tensor([1.5, -2.0]).bfloat16(),
        "mask": torch.tensor([True, False]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "trained": torch.ones(2, requires_grad=True),
    }
    meta = {"step": 7, "note": "碁\n", "nested": {"rng": [1, 2, None]}, "rate": 0.1}
    checkpoint.save(path, tensors, meta)
    loaded, loaded_meta = checkpoint.load(path)
    assert loaded_meta == meta
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert files(path) == [path.name]


def test_tied_weights_and_views_are_saved_under_each_name(path):
    weight = torch.arange(6.0).reshape(2, 3)
    checkpoint.save(path, {"embed": weight, "head": weight, "row": weight[1]}, {})
    loaded, _ = checkpoint.load(path)
    assert torch.equal(loaded["head"], weight)
    assert torch.equal(loaded["row"], torch.tensor([3.0, 4.0, 5.0]))


def test_other_tools_can_read_the_tensors(path):
    checkpoint.save(path, {"w": torch.ones(3)}, {"step": 1})
    assert torch.equal(load_file(path)["w"], torch.ones(3))


def refused(path) -> str:
    with pytest.raises(UserError) as error:
        checkpoint.load(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_a_truncated_file(path, keep):
    checkpoint.save(path, {"w": torch.ones(1000)}, {"step": 1})
    path.write_bytes(path.read_bytes()[:keep])
    assert "delete it to fall back" in refused(path)


def test_one_flipped_bit(path):
    checkpoint.save(path, {"w": torch.ones(1000)}, {"step": 1})
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    assert "checksum" in refused(path)


def test_files_that_are_no_checkpoints(path):
    assert "there is no checkpoint" in refused(path)
    path.write_text("not tensors at all, only words " * 10)
    assert "delete it" in refused(path)
    save_file({"w": torch.ones(2)}, path)
    assert "no foolsgold checkpoint" in refused(path)


def test_another_format_version(path):
    save_file({"w": torch.ones(2)}, path, metadata={"foolsgold_checkpoint": "9", "meta": "{}", "crc32": "0"})
    assert "format 9, but this foolsgold reads format 1" in refused(path)


def test_a_missing_folder(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*No such file"):
        checkpoint.save(tmp_path / "nowhere" / "x.safetensors", {}, {})


def test_a_full_disk_keeps_the_old_file_and_leaves_no_other(path, monkeypatch):
    checkpoint.save(path, {"w": torch.ones(2)}, {"step": 1})

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_space)
        with pytest.raises(UserError, match="No space left on device"):
            checkpoint.save(path, {"w": torch.zeros(2)}, {"step": 2})
    assert files(path) == [path.name]
    assert checkpoint.load(path)[1] == {"step": 1}


def test_a_disk_that_is_really_full(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("may not mount a small disk")
    try:
        path = small / "step-1.safetensors"
        checkpoint.save(path, {"w": torch.ones(2)}, {"step": 1})
        with pytest.raises(UserError, match="No space left on device") as error:
            checkpoint.save(path, {"w": torch.randn(100_000)}, {"step": 2})
        assert "\n" not in str(error.value)
        assert files(path) == [path.name]
        assert checkpoint.load(path)[1] == {"step": 1}
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_meta_that_json_cannot_hold_leaves_the_old_file(path):
    checkpoint.save(path, {}, {"step": 1})
    with pytest.raises(TypeError):
        checkpoint.save(path, {}, {"step": torch.ones(1)})
    assert checkpoint.load(path) == ({}, {"step": 1})


# Forked from a server with nothing but the package loaded: other tests' threads do not survive a fork.
PROCESSES = multiprocessing.get_context("forkserver") if os.name == "posix" else multiprocessing.get_context()
if os.name == "posix":
    PROCESSES.set_forkserver_preload(["foolsgold.training.checkpoint"])


def save_for_ever(path, first_step: int) -> None:
    for step in itertools.count(first_step):
        # Few enough numbers for one thread: torch's thread pool does not survive a fork.
        checkpoint.save(path, {"w": torch.full((20_000,), float(step))}, {"step": step})


@contextmanager
def writer_of(path, first_step: int):
    """A process that saves one step after another until the block ends; then it is killed."""
    writer = PROCESSES.Process(target=save_for_ever, args=(path, first_step))
    writer.start()
    try:
        deadline = time.monotonic() + 30
        while not path.exists() or checkpoint.load(path)[1]["step"] < first_step:
            assert time.monotonic() < deadline, "the writer never finished a save"
        yield
    finally:
        writer.kill()
        writer.join()


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
def test_a_writer_killed_at_any_moment_leaves_a_whole_file(path):
    last = 0
    for attempt in range(15):
        with writer_of(path, last + 1):
            time.sleep(0.00037 * attempt)
        tensors, meta = checkpoint.load(path)
        assert (tensors["w"] == meta["step"]).all()
        assert meta["step"] > last
        last = meta["step"]
    checkpoint.save(path, {}, {})
    assert files(path) == [path.name]  # what the killed writers left went with the next write


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
def test_a_file_that_is_being_replaced_reads_as_one_of_its_versions(path):
    with writer_of(path, 1):
        for _ in range(2000):
            tensors, meta = checkpoint.load(path)
            assert (tensors["w"] == meta["step"]).all()
