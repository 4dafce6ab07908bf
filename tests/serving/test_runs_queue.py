"""Labels that people give to an audit: kept before they are acknowledged, counted once, and read by the audit."""

import json
import multiprocessing
import os
import random
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from foolsgold.audit.gold_labels import Pool, draw_labels, read_labels, with_labels, write_requests
from foolsgold.errors import UserError
from foolsgold.serving.runs_queue import AuditQueue, Queues, Scale

FIVE = Scale(1, 5)


def pool() -> Pool:
    """Three prompts, four completions each, of which the last two are the same text."""
    texts = [[f"answer {p}{min(n, 2)}" for n in range(4)] for p in range(3)]
    return Pool([f"prompt {p}" for p in range(3)], texts, np.arange(12.0).reshape(3, 4), "start")


def queue_in(folder: Path, budget: int = 12) -> AuditQueue:
    write_requests(folder / "to-judge.jsonl", [draw_labels(pool(), budget)])
    return AuditQueue(folder)


def gold_of(text: str) -> int:
    return 1 + int(text[-1])


def judge_all(queue: AuditQueue, rater: str) -> list[str]:
    said = []
    while (request := queue.next(rater)) is not None:
        queue.judge(rater, request.id, gold_of(request.completion), FIVE, 1.5)
        said.append(request.completion)
    return said


def test_the_audit_reads_what_people_said(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    assert sorted(judge_all(queue, "anna")) == [f"answer {p}{n}" for p in range(3) for n in range(3)]
    found = with_labels(pool(), read_labels(queue.write_labels()))
    assert found.samples.gold.tolist() == [[1, 2, 3, 3]] * 3
    assert (found.unanswered, found.unmatched) == (0, frozenset())


def test_judges_of_one_text_are_averaged_and_the_unjudged_are_missing(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    first = queue.next("anna")
    assert first is not None
    queue.judge("anna", first.id, 2, FIVE)
    queue.judge("ben", first.id, 5, FIVE)
    labels = read_labels(queue.write_labels())
    assert {key: label.gold for key, label in labels.items()} == {first.id: 3.5}
    assert with_labels(pool(), labels).unanswered in (10, 11)  # of twelve that were drawn, one or two have this text
    assert queue.progress().raters == {"anna": 1, "ben": 1}


def test_the_same_again_changes_nothing_and_the_last_word_counts(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    request = queue.next("anna")
    assert request is not None
    for gold in (3, 3, 3, 4):
        queue.judge("anna", request.id, gold, FIVE)
    rows = [json.loads(line) for line in (tmp_path / "judgements.jsonl").read_text().splitlines()]
    assert [row["gold"] for row in rows] == [3, 4]  # nothing is overwritten, and nothing said twice
    assert read_labels(queue.write_labels())[request.id].gold == 4
    assert queue.progress().judged == 1


def test_undo_opens_the_newest_of_ones_own(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    assert queue.undo("anna") is None
    ids = []
    for gold in (1, 2):
        request = queue.next("anna")
        assert request is not None
        queue.judge("anna", request.id, gold, FIVE)
        ids.append(request.id)
    bens = queue.next("ben")
    assert bens is not None
    queue.judge("ben", bens.id, 5, FIVE)
    again = queue.undo("anna")
    assert again is not None
    assert (again.id, again.gold) == (ids[1], None)
    following = queue.next("anna")
    assert following is not None
    assert following.id == ids[1]
    assert queue.progress().raters == {"anna": 1, "ben": 1}
    last = queue.undo("anna")
    assert last is not None
    assert last.id == ids[0]
    assert queue.undo("anna") is None


def test_two_at_once_never_get_the_same(tmp_path: Path) -> None:
    moment = [0.0]
    queue_in(tmp_path)
    queue = AuditQueue(tmp_path, clock=lambda: moment[0])
    anna, ben = queue.next("anna"), queue.next("ben")
    assert anna is not None
    assert ben is not None
    assert anna.id != ben.id
    assert queue.next("anna") == anna
    seen = {anna.id, ben.id}
    for i in range(7):
        request = queue.next(f"rater {i}")
        assert request is not None
        seen.add(request.id)
    assert len(seen) == 9
    assert queue.next("late") is None
    moment[0] += 16 * 60  # whoever went away for longer gives back what they held
    assert queue.next("late") is not None


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    said: list[str] = []
    threads = [threading.Thread(target=lambda i=i: said.extend(judge_all(queue, f"rater {i}"))) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == len(set(said)) == queue.progress().judged == 9


def test_another_process_is_heard(tmp_path: Path) -> None:
    mine, other = queue_in(tmp_path), AuditQueue(tmp_path)
    request = mine.next("anna")
    assert request is not None
    mine.judge("anna", request.id, 3, FIVE)
    assert other.progress().judged == 1
    theirs = other.next("ben")
    assert theirs is not None
    assert theirs.id != request.id


PROCESSES = multiprocessing.get_context("forkserver")


def judge_until_killed(folder: Path, seed: int, acknowledged: Connection) -> None:
    queue, rng = AuditQueue(folder), random.Random(seed)
    names = list(queue._requests)
    while True:
        name, gold = rng.choice(names), rng.randint(1, 5)
        queue.judge("anna", name, gold, FIVE)
        acknowledged.send((name, gold))


def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    queue_in(tmp_path)
    names = list(AuditQueue(tmp_path)._requests)
    rng, acknowledged = random.Random(0), {}
    for kill in range(12):
        receiving, sending = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=judge_until_killed, args=(tmp_path, kill, sending), daemon=True)
        child.start()
        sending.close()
        assert receiving.poll(60)  # at work
        time.sleep(0.05 * rng.random())
        child.kill()
        child.join()
        with suppress(EOFError):
            while True:
                name, gold = receiving.recv()
                acknowledged[name] = gold
        said = {name: row["gold"] for (_, name), row in _said(AuditQueue(tmp_path)).items()}
        lost = {name for name in acknowledged if said.get(name) != acknowledged[name]}
        assert len(lost) <= 1  # the one that was being judged anew when the process was killed
        acknowledged = dict(said)
    assert len(acknowledged) == len(names)


def _said(queue: AuditQueue) -> dict:
    queue.progress()
    return queue._said


def test_half_a_line_of_a_killed_writer_swallows_nothing(tmp_path: Path) -> None:
    queue_in(tmp_path)
    (tmp_path / "judgements.jsonl").write_text('{"id": "x", "rat')
    queue = AuditQueue(tmp_path)
    request = queue.next("anna")
    assert request is not None
    queue.judge("anna", request.id, 3, FIVE)
    assert queue.progress().judged == AuditQueue(tmp_path).progress().judged == 1


def test_one_scale_an_audit(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    request = queue.next("anna")
    assert request is not None
    queue.judge("anna", request.id, 3, FIVE)
    with pytest.raises(UserError, match=r"scale 1:5; serve with --scale 1:5"):
        queue.judge("ben", request.id, 3, Scale(0, 10))
    assert queue.progress().scale == "1:5"


def test_labels_are_up_to_date_or_not(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    with pytest.raises(UserError, match="nothing is judged"):
        queue.write_labels()
    request = queue.next("anna")
    assert request is not None
    queue.judge("anna", request.id, 3, FIVE)
    assert not queue.progress().labels
    queue.write_labels()
    assert queue.progress().labels
    time.sleep(0.02)
    queue.judge("anna", request.id, 4, FIVE)
    assert not queue.progress().labels


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\nb", "a\x00", "\ud800", "\u2028"])
def test_who_judges_has_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="give a name"):
        queue_in(tmp_path).next(name)


def test_what_is_not_asked_is_not_kept(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    with pytest.raises(UserError, match="does not ask"):
        queue.judge("anna", "nothing like it", 3, FIVE)
    request = queue.next("anna")
    assert request is not None
    with pytest.raises(UserError, match="from 1 to 5"):
        queue.judge("anna", request.id, 6, FIVE)
    assert not (tmp_path / "judgements.jsonl").exists()


@pytest.mark.parametrize("text", ["", "5", "5:1", "1:1", "a:b", "1:5:9", "0:99999", "1.5:2", "١:٥"])
def test_what_is_no_scale(text: str) -> None:
    with pytest.raises(UserError, match="scale"):
        Scale.read(text)


def test_scales() -> None:
    assert Scale.read("-2:2") == Scale(-2, 2)
    assert str(Scale.read("0:100")) == "0:100"


@pytest.mark.parametrize("text", ["{", "[1]\n", '{"id": "a"}\n', '{"id": "a", "prompt": 1, "completion": "b"}\n'])
def test_broken_requests(tmp_path: Path, text: str) -> None:
    (tmp_path / "to-judge.jsonl").write_text(text)
    with pytest.raises(UserError, match="no file of requests"):
        AuditQueue(tmp_path)


def test_queues_know_which_audits_ask(tmp_path: Path) -> None:
    queues = Queues()
    assert queues.of(tmp_path) is None
    queue_in(tmp_path)
    first = queues.of(tmp_path)
    assert first is not None
    assert queues.of(tmp_path) is first
    os.utime(tmp_path / "to-judge.jsonl", (1, 1))  # asked anew
    assert queues.of(tmp_path) is not first
