from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.labels.labelling import Labelling, Pair, PlaceRefused, Progress, Settings, projects
from foolsgold.labels.store import open_store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLAIN = Settings(check_share=0, repeat_share=0)


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def numbered(count: int, **fields) -> list[Pair]:
    return [Pair("Which is better?", f"a{i}", f"b{i}", **fields) for i in range(count)]


@pytest.fixture
def store(url):
    with open_store(url) as store:
        yield store


def project(store, pairs: list[Pair], settings: Settings = PLAIN, seed: int = 0) -> Labelling:
    labelling = Labelling.create(store, "boards", "Look at the corners.", "go", seed, settings)
    assert labelling.add_pairs(pairs) == len(pairs)
    return labelling


def judge_all(labelling: Labelling, rater: str, seconds: float = 10) -> list:
    """The rater always prefers the left one, a judgement every so many seconds; their places."""
    places = []
    while (place := labelling.next_place(rater, later(seconds * len(places)))) is not None:
        labelling.judge(place.id, rater, "a", seconds=2.0, now=later(seconds * len(places)))
        places.append(place)
    return places


def test_a_project_is_opened_as_it_was_made(store):
    pair = Pair("Which is better?", "a", "b", 2, 0.5, None, {"moves_a": "(;B[aa])"}, {"policy": "net"}, "a person")
    check = Pair("Which is better?", "c", "d", known="b")
    made = project(store, [pair, check], Settings(lease_seconds=60), seed=7)
    found = Labelling.open(store, "boards")
    assert (found.name, found.guidelines, found.display, found.seed) == ("boards", "Look at the corners.", "go", 7)
    assert found.settings == made.settings == Settings(lease_seconds=60)
    assert [(stored.id, stored.pair, stored.taken) for stored in found.pairs()] == [(1, pair, 0), (2, check, 0)]
    assert projects(store) == ["boards"]


def test_names_of_projects(store):
    Labelling.create(store, "boards", "")
    with pytest.raises(UserError, match="has a project 'boards' already"):
        Labelling.create(store, "boards", "")
    with pytest.raises(UserError, match="no project 'poems'; it has boards"):
        Labelling.open(store, "poems")
    with pytest.raises(UserError, match="choose one of text, conversation, diff, go"):
        Labelling.create(store, "poems", "", "picture")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"b": "a"}, "the same text"),
        ({"wanted": 0}, "give 1 to 1000"),
        ({"known": "left"}, "choose one of a, b, tie"),
        ({"prompt": "\ud800"}, "half a character"),
        ({"priority": float("nan")}, "not a number"),
    ],
)
def test_impossible_pairs(wrong, message):
    with pytest.raises(UserError, match=message):
        Pair(**({"prompt": "?", "a": "a", "b": "b"} | wrong))


def test_a_pair_added_twice_is_there_once(store):
    labelling = project(store, numbered(3))
    assert labelling.add_pairs([*numbered(4), Pair("Another prompt", "a0", "b0")]) == 2


def test_the_answer_as_shown_becomes_the_answer_of_the_pair(store):
    labelling = project(store, numbered(40))
    places = judge_all(labelling, "anna")  # always the left one
    assert {place.swapped for place in places} == {True, False}
    for place in places:
        number = place.pair_id - 1
        assert (place.left, place.right) == (
            (f"b{number}", f"a{number}") if place.swapped else (f"a{number}", f"b{number}")
        )
    stored = list(store.comparisons(project="boards"))
    assert [(each.a if each.preferred == "a" else each.b) for each in stored] == [place.left for place in places]
    assert all(each.a[1:] == each.b[1:] and each.a[0] == "a" for each in stored)
    assert stored[0].source == {
        "project": "boards", "pair": places[0].pair_id, "place": places[0].id, "swapped": places[0].swapped
    }  # fmt: skip


def test_a_place_judged_twice_counts_once(store):
    labelling = project(store, numbered(2))
    place = labelling.next_place("anna")
    first = labelling.judge(place.id, "anna", "b", strength=3, seconds=1.5)
    again = labelling.judge(place.id, "anna", "a")
    assert (first.counted, again.counted) == (True, False)
    assert again.choice == "b"
    assert [(each.strength, each.seconds) for each in store.comparisons()] == [(3, 1.5)]


def test_the_open_place_stays_until_it_is_judged(store):
    labelling = project(store, numbered(2))
    place = labelling.next_place("anna", later(0))
    assert labelling.next_place("anna", later(300)) == place
    labelling.judge(place.id, "anna", "tie")
    assert labelling.next_place("anna").pair_id != place.pair_id


def test_places_of_others_are_refused(store):
    labelling = project(store, numbered(2))
    other = Labelling.create(store, "poems", "")
    place = labelling.next_place("anna")
    for project_, rater, number in ((labelling, "ben", place.id), (labelling, "anna", 999), (other, "anna", place.id)):
        with pytest.raises(PlaceRefused, match="ask for the next one"):
            project_.judge(number, rater, "a")
    assert len(store) == 0


@pytest.mark.parametrize(
    "wrong",
    [("c",), ("a", 4), ("tie", 1), ("a", True + 0.5), ("a", None, -1.0), ("a", None, float("nan"))],
)
def test_impossible_answers(store, wrong):
    labelling = project(store, numbered(1))
    place = labelling.next_place("anna")
    with pytest.raises(UserError):
        labelling.judge(place.id, "anna", *wrong)
    assert len(store) == 0


def test_as_many_raters_a_pair_as_wanted(store):
    labelling = project(store, numbered(1, wanted=2))
    assert [labelling.next_place(rater) is not None for rater in ("anna", "ben", "cleo", "anna")] == [1, 1, 0, 1]


def test_a_lease_that_ended_frees_the_pair_and_the_late_answer_counts(store):
    labelling = project(store, numbered(1))
    late = labelling.next_place("anna", later(0))
    assert labelling.next_place("ben", later(899)) is None
    place = labelling.next_place("ben", later(901))
    assert place.pair_id == late.pair_id
    assert labelling.next_place("anna", later(902)) is None
    labelling.judge(place.id, "ben", "a", now=later(903))
    assert labelling.judge(late.id, "anna", "b", now=later(904)).counted
    assert len(store) == 2
    assert [stored.taken for stored in labelling.pairs()] == [2]


def test_a_rater_who_comes_back_late_finds_the_pair_again(store):
    labelling = project(store, numbered(3))
    place = labelling.next_place("anna", later(0))
    again = labelling.next_place("anna", later(10_000))
    assert (again.id, again.pair_id, again.opened) == (place.id, place.pair_id, later(10_000))


def test_a_skipped_pair_goes_to_somebody_else(store):
    labelling = project(store, numbered(1))
    place = labelling.next_place("anna")
    labelling.judge(place.id, "anna", "skipped", seconds=1.0)
    assert labelling.next_place("anna") is None
    assert len(store) == 0
    assert [entry.choice for entry in store.history()] == ["skipped"]
    assert labelling.next_place("ben").pair_id == place.pair_id


def test_undo_opens_the_place_again_and_keeps_what_was_judged(store):
    labelling = project(store, numbered(3))
    first = labelling.next_place("anna", later(0))
    labelling.judge(first.id, "anna", "a", now=later(1))
    second = labelling.next_place("anna", later(2))
    assert labelling.undo("anna", later(3)).id == first.id
    assert len(store) == 0
    labelling.judge(first.id, "anna", "tie", now=later(4))
    assert labelling.next_place("anna", later(5)).id == second.id  # it waited
    history = [(entry.choice == "tie", entry.created, entry.retracted) for entry in store.history()]
    assert history == [(False, later(1), later(3)), (True, later(4), None)]


def test_undo_goes_back_through_the_session_and_no_further(store):
    labelling = project(store, numbered(5))
    for minutes in (0, 40, 41):
        place = labelling.next_place("anna", later(60 * minutes))
        labelling.judge(place.id, "anna", "a", now=later(60 * minutes))
    assert [labelling.undo("anna", later(60 * 42)) is not None for _ in range(3)] == [True, True, False]
    assert [comparison.created for comparison in store.comparisons()] == [later(0)]
    assert labelling.undo("ben") is None


def test_a_skip_is_undone_unless_somebody_took_the_pair(store):
    labelling = project(store, numbered(1))
    for free in (True, False):
        place = labelling.next_place("anna", NOON)
        labelling.judge(place.id, "anna", "skipped", now=NOON)
        if not free:
            labelling.next_place("ben", NOON)
        assert (labelling.undo("anna", NOON) is not None) == free
    assert [stored.taken for stored in labelling.pairs()] == [1]


def test_high_priorities_come_first(store):
    labelling = project(store, numbered(6))
    labelling.set_priorities([3, 5], [1.0, 2.0])
    assert [place.pair_id for place in judge_all(labelling, "anna")][:2] == [5, 3]
    with pytest.raises(UserError, match="not a number"):
        labelling.set_priorities([1], [float("nan")])


def test_checks_come_once_each_and_are_no_data(store):
    pairs = numbered(60) + [Pair("Which is better?", f"good{i}", f"bad{i}", known="a") for i in range(4)]
    labelling = project(store, pairs, Settings(check_share=0.3, repeat_share=0))
    places = judge_all(labelling, "anna")
    shown = Counter(place.pair_id for place in places)
    assert max(shown.values()) == 1
    assert len(places) == 64
    assert {vote.pair_id for vote in labelling.votes() if vote.kind == "check"} == {61, 62, 63, 64}
    assert len(store) == 60
    assert len(list(store.comparisons(planted=True))) == 64


def test_repeats_are_own_pairs_mirrored_and_no_data(store):
    labelling = project(store, numbered(40), Settings(check_share=0, repeat_share=0.4, repeat_gap=5))
    judge_all(labelling, "anna")
    votes = labelling.votes()
    place_of = {vote.pair_id: number for number, vote in enumerate(votes) if vote.kind == "pair"}
    repeats = [(number, vote) for number, vote in enumerate(votes) if vote.kind == "repeat"]
    assert len(repeats) > 5
    for number, vote in repeats:
        assert number - place_of[vote.pair_id] > 5
        assert vote.swapped != votes[place_of[vote.pair_id]].swapped
    assert max(Counter(vote.pair_id for _, vote in repeats).values()) == 1
    assert len(store) == 40


def test_sides_and_order_follow_from_the_seed(new_store_url):
    def handed_out(seed):
        with open_store(new_store_url()) as store:
            return [
                (place.pair_id, place.swapped) for place in judge_all(project(store, numbered(60), seed=seed), "anna")
            ]

    first = handed_out(1)
    assert first == handed_out(1)
    assert first != handed_out(2)
    assert 15 < sum(swapped for _, swapped in first) < 45  # beyond five in a million by chance
    assert [pair for pair, _ in first] != sorted(pair for pair, _ in first)


def test_progress(store):
    labelling = project(store, numbered(10, wanted=2))
    seconds = [3.0, 5.0, 4.0]
    for moment, spent in zip((-13 * 3600, 0, 60), seconds, strict=True):  # the first one yesterday
        place = labelling.next_place("anna", later(moment))
        labelling.judge(place.id, "anna", "a", seconds=spent, now=later(moment))
    place = labelling.next_place("anna", later(61))
    assert labelling.progress("anna", later(61)) == Progress(3, 2, 7, 4.0, 2, 65.0)
    labelling.judge(place.id, "anna", "skipped", now=later(62))
    assert labelling.progress("anna", later(63)) == Progress(3, 2, 6, 4.0, 2, 65.0)
    assert labelling.progress("anna", later(3600)) == Progress(3, 2, 6, 4.0, 0, 0.0)
    assert labelling.progress("ben", later(63)) == Progress(0, 0, 10, None, 0, 0.0)


def test_links(store):
    labelling = project(store, numbered(2))
    token = labelling.invite("anna")
    assert len(token) >= 43
    assert labelling.rater_of(token) == "anna"
    assert Labelling.create(store, "poems", "").rater_of(token) is None
    newer = labelling.invite("anna")
    assert (labelling.rater_of(token), labelling.rater_of(newer)) == (None, "anna")
    place = labelling.next_place("anna")
    labelling.revoke("anna")
    assert labelling.rater_of(newer) is None
    for refused in (lambda: labelling.next_place("anna"), lambda: labelling.judge(place.id, "anna", "a")):
        with pytest.raises(PlaceRefused, match="ask whoever runs it"):
            refused()
    member = labelling.raters()[0]
    assert (member.rater, member.invited, member.revoked, member.given) == ("anna", False, True, 1)
    labelling.invite("anna")
    assert labelling.next_place("anna").id == place.id


def test_the_store_holds_no_token(tmp_path):
    with open_store(tmp_path / "store.sqlite") as store:
        token = project(store, []).invite("anna")
    on_disk = b"".join(Path(file).read_bytes() for file in tmp_path.iterdir())
    assert b"anna" in on_disk
    assert token.encode() not in on_disk


@pytest.mark.parametrize("name", ["", " ", "anna ", "a\nb", "x" * 201])
def test_names_of_raters(store, name):
    labelling = project(store, numbered(1))
    for ask in (labelling.invite, labelling.next_place):
        with pytest.raises(UserError, match="no name of a rater"):
            ask(name)


actions = st.tuples(
    st.sampled_from(["anna", "ben", "cleo"]),
    st.sampled_from(["ask", "a", "b", "tie", "both_bad", "skipped", "undo"]),
    st.sampled_from([1, 30, 1000, 4000]),
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(actions, min_size=10, max_size=30), st.integers(0, 3))
def test_whatever_raters_do_the_books_balance(new_store_url, done, seed):
    kept: dict[str, list[str]] = {rater: [] for rater in ("anna", "ben", "cleo")}
    now = NOON
    with open_store(new_store_url()) as store:
        pairs = [*numbered(3, wanted=2), Pair("?", "good", "bad", known="a")]
        labelling = project(store, pairs, Settings(check_share=0.2, repeat_share=0.4, repeat_gap=0), seed)
        for rater, action, seconds in done:
            now += timedelta(seconds=seconds)
            if action == "undo":
                if labelling.undo(rater, now) is not None:
                    kept[rater].pop()
            elif (place := labelling.next_place(rater, now)) is not None and action != "ask":
                assert labelling.judge(place.id, rater, action, now=now).counted
                kept[rater].append(action)
            votes = labelling.votes()
            for who, answers in kept.items():
                own = [vote for vote in votes if vote.rater == who]
                mirrored = {"a": "b", "b": "a"}
                assert [
                    mirrored.get(vote.choice, vote.choice) if vote.swapped else vote.choice for vote in own
                ] == answers
                assert max(Counter((vote.pair_id, vote.kind) for vote in own).values(), default=0) <= 1
            counted = Counter(vote.pair_id for vote in votes if vote.kind == "pair" and vote.choice != "skipped")
            for stored in labelling.pairs():
                assert counted[stored.id] <= stored.taken <= counted[stored.id] + 3
                assert counted[stored.id] <= stored.pair.wanted
        now += timedelta(seconds=4000)
        labelling.next_place("dora", now)
        taken = {stored.id: stored.taken for stored in labelling.pairs()}
        assert sum(taken.values()) - sum(counted.values()) in (0, 1)  # only Dora's place is out
