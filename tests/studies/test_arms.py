"""Arms end with the study that they belong to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

STUDY = """
import os, sys, time
from pathlib import Path
from foolsgold.studies.arms import in_processes

def arm(folder):
    Path(folder, "arm").write_text(str(os.getpid()))
    time.sleep(120)

if __name__ == "__main__":
    in_processes(arm, [(sys.argv[1],)], lambda: None)
"""


def appears(condition, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks processes up in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_arm_does_not_outlive_its_study(tmp_path, how):
    (tmp_path / "study.py").write_text(STUDY)
    study = subprocess.Popen([sys.executable, tmp_path / "study.py", tmp_path])
    told = tmp_path / "arm"
    assert appears(lambda: told.exists() and told.read_text())
    arm = int(told.read_text())
    assert runs(arm)
    study.send_signal(how)
    study.wait()
    assert appears(lambda: not runs(arm), 20)
