"""Writers killed at random moments, a hundred times: what was acknowledged is there, what is there is whole."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from foolsgold.labels.labelling import Labelling, Pair
from foolsgold.labels.store import open_store

KILLS = 100
# A parent that forks a rater for each line it reads: importing all anew each time would take most of the test. What a
# rater prints is its acknowledgement.
NURSERY = """
import os, sys
from foolsgold.labels.labelling import Labelling
from foolsgold.labels.store import open_store

def rate(url, number):
    with open_store(url) as store:
        labelling = Labelling.open(store, "boards")
        while True:
            place = labelling.next_place("anna")
            labelling.judge(place.id, "anna", "a", seconds=float(number))
            os.write(1, f"{place.id}\\n".encode())
            if place.id % 5 == 0 and labelling.undo("anna") is not None:
                os.write(1, f"-{place.id}\\n".encode())

for line in sys.stdin:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)  # until its number is known
        rate(sys.argv[1], int(line))
    os.write(1, f"pid {child}\\n".encode())
    os.write(writer, b"!")
    os.close(reader), os.close(writer)
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing(url):
    with open_store(url) as store:
        Labelling.create(store, "boards", "").add_pairs(Pair("?", f"a{i}", f"b{i}") for i in range(20_000))
    rng = random.Random(0)
    said: list[int] = []
    command = [sys.executable, "-c", NURSERY, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as nursery:
        for number in range(KILLS):
            nursery.stdin.write(f"{number}\n")
            pid = int(nursery.stdout.readline().removeprefix("pid "))
            if number % 5:  # the others die as they open the store or soon after
                said.append(int(nursery.stdout.readline()))
            time.sleep(rng.uniform(0, 0.1))
            os.kill(pid, signal.SIGKILL)
            while (line := nursery.stdout.readline()) != "dead\n":
                said.append(int(line))
        nursery.stdin.close()
    assert len(said) >= KILLS * 4 // 5
    with open_store(url) as store:
        labelling = Labelling.open(store, "boards")
        history = list(store.history(project="boards"))
        votes = labelling.votes()
        if store.database.is_sqlite:
            with store.database.reading() as connection:
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
                assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    judged = Counter(entry.source["place"] for entry in history)
    retracted = Counter(entry.source["place"] for entry in history if entry.retracted)
    acknowledged = Counter(place for place in said if place > 0)
    taken_back = Counter(-place for place in said if place < 0)
    assert acknowledged <= judged
    assert taken_back <= retracted
    # A kill between the commit and its acknowledgement may leave one more, a kill at most one.
    assert (judged - acknowledged).total() + (retracted - taken_back).total() <= KILLS
    assert len(votes) == len(history) - retracted.total()
