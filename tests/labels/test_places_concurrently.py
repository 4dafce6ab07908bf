"""Raters at once, as threads and as processes: nobody gets another's place, no pair is out too often."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from foolsgold.labels.labelling import Labelling, Pair, Settings
from foolsgold.labels.store import open_store

PAIRS, WANTED = 12, 2
RATERS = ["anna", "ben", "cleo", "dora"]


@pytest.fixture
def crowded(url):
    with open_store(url) as store:
        labelling = Labelling.create(store, "boards", "", settings=Settings(check_share=0, repeat_share=0))
        labelling.add_pairs(Pair("?", f"a{i}", f"b{i}", wanted=WANTED) for i in range(PAIRS))
    return url


def label(labelling: Labelling, rater: str) -> list[int]:
    """The pairs the rater was given, all judged."""
    pairs = []
    while (place := labelling.next_place(rater)) is not None:
        labelling.judge(place.id, rater, "a")
        pairs.append(place.pair_id)
    return pairs


def check(url: str, given: list[list[int]]) -> None:
    """Every pair was given to as many different raters as it wanted, and what was judged is there."""
    assert all(len(set(pairs)) == len(pairs) for pairs in given)
    assert Counter(pair for pairs in given for pair in pairs) == {i + 1: WANTED for i in range(PAIRS)}
    with open_store(url) as store:
        labelling = Labelling.open(store, "boards")
        assert [stored.taken for stored in labelling.pairs()] == [WANTED] * PAIRS
        assert Counter((vote.rater, vote.pair_id) for vote in labelling.votes()) == Counter(
            (rater, pair) for rater, pairs in zip(RATERS, given, strict=True) for pair in pairs
        )


def test_threads_with_one_store(crowded):
    with open_store(crowded) as store, ThreadPoolExecutor(len(RATERS)) as threads:
        labelling = Labelling.open(store, "boards")
        check(crowded, list(threads.map(lambda rater: label(labelling, rater), RATERS)))


PROCESS = """
import sys
from foolsgold.labels.labelling import Labelling
from foolsgold.labels.store import open_store

url, rater = sys.argv[1:]
with open_store(url) as store:
    labelling = Labelling.open(store, "boards")
    print("ready", flush=True)
    sys.stdin.readline()
    while (place := labelling.next_place(rater)) is not None:
        labelling.judge(place.id, rater, "a")
        print(place.pair_id, flush=True)
"""


def test_processes(crowded):
    command = [sys.executable, "-c", PROCESS, crowded]
    raters = [
        subprocess.Popen([*command, rater], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for rater in RATERS
    ]
    for process in raters:
        assert process.stdout.readline() == "ready\n"
    for process in raters:  # all at once
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.communicate()[0] for process in raters]
    assert [process.returncode for process in raters] == [0] * len(RATERS)
    check(crowded, [[int(line) for line in text.split()] for text in printed])


def test_a_rater_who_asks_twice_at_once_has_one_place(crowded):
    with open_store(crowded) as store, ThreadPoolExecutor(4) as threads:
        labelling, together = Labelling.open(store, "boards"), Barrier(4)

        def ask(_):
            together.wait()
            return labelling.next_place("anna").id

        assert len(set(threads.map(ask, range(4)))) == 1
        assert sum(stored.taken for stored in labelling.pairs()) == 1


def test_a_place_judged_twice_at_once_counts_once(crowded):
    with open_store(crowded) as store, ThreadPoolExecutor(4) as threads:
        labelling, together = Labelling.open(store, "boards"), Barrier(4)
        place = labelling.next_place("anna")

        def judge(answer):
            together.wait()
            return labelling.judge(place.id, "anna", answer)

        judged = list(threads.map(judge, ["a", "b", "tie", "skipped"]))
        assert sum(each.counted for each in judged) == 1
        assert len({each.choice for each in judged}) == 1
        assert len(labelling.votes()) == 1


def test_many_raters_meet_at_the_last_places(url):
    with open_store(url) as store, ThreadPoolExecutor(8) as threads:
        labelling, together = Labelling.create(store, "boards", ""), Barrier(8)
        labelling.add_pairs([Pair("?", "a", "b", wanted=3), Pair("?", "c", "d", wanted=2)])

        def ask(rater):
            together.wait()
            return labelling.next_place(rater)

        places = [place for place in threads.map(ask, [f"rater {i}" for i in range(8)]) if place is not None]
        assert Counter(place.pair_id for place in places) == {1: 3, 2: 2}
