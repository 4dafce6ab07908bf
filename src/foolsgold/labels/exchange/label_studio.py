"""Label Studio's JSON: tasks whose annotations choose between two texts (Pairwise) or put several in order (Ranker).

`CONFIG` is the labelling interface that the tasks we write belong to; exports of other interfaces are read too, but
only as JSON: JSON-MIN and CSV do not say which names the two texts had.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison, Preferred
from foolsgold.labels.exchange.records import about, record_of
from foolsgold.labels.exchange.rows import Notes, Row, Unsaid, judgement, number_of, places, prompt_of, text_of, value
from foolsgold.labels.exchange.wide import meaning

CONFIG = """\
<View>
  <Text name="prompt" value="$prompt"/>
  <Pairwise name="comparison" toName="answer1,answer2"/>
  <Text name="answer1" value="$answer1"/>
  <Text name="answer2" value="$answer2"/>
  <Choices name="equal" toName="prompt"><Choice value="tie"/><Choice value="both bad"/></Choices>
  <Rating name="strength" toName="prompt" maxRating="3"/>
</View>
"""
"""Labelling interface: choose a text or say that they are equal; in stars, how clear it was."""
_CANDIDATES = (("answer1", "answer2"), ("text1", "text2"), ("response1", "response2"), ("a", "b"))
_SOURCES = ("source", "source_a", "source_b")
_EQUAL = {"tie": "tie", "both_bad": "both bad"}


def write_label_studio(comparisons: Iterable[Comparison], notes: Notes) -> list[dict[str, Any]]:
    """One task a pair and its sources, one annotation a judgement.

    Raters stand as the e-mail addresses by which Label Studio knows its users.
    """
    tasks: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, comparison in enumerate(comparisons, start=1):
        record = record_of(comparison)
        sources = {name: record[name] for name in _SOURCES if name in record}
        texts = {"prompt": comparison.prompt, "answer1": comparison.a, "answer2": comparison.b}
        data = {**texts, **sources}
        task = tasks.setdefault(tuple(data.items()), {"id": len(tasks) + 1, "data": data, "annotations": []})
        annotation = {
            "id": number,
            "completed_by": {"email": comparison.rater},
            "created_at": record["created"],
            "was_cancelled": False,
            "result": list(_results(comparison)),
        }
        if comparison.seconds is not None:
            annotation["lead_time"] = comparison.seconds
        task["annotations"].append(annotation)
    return list(tasks.values())


def _results(comparison: Comparison) -> Iterator[dict[str, Any]]:
    if comparison.preferred in ("a", "b"):
        selected = {"selected": "left" if comparison.preferred == "a" else "right"}
        yield {"from_name": "comparison", "to_name": "answer1,answer2", "type": "pairwise", "value": selected}
    else:
        choices = {"choices": [_EQUAL[comparison.preferred]]}
        yield {"from_name": "equal", "to_name": "prompt", "type": "choices", "value": choices}
    if comparison.strength is not None:
        yield {"from_name": "strength", "to_name": "prompt", "type": "rating", "value": {"rating": comparison.strength}}


def read_label_studio(rows: Sequence[Row], unsaid: Unsaid, notes: Notes) -> Iterator[Comparison]:
    """The annotations of tasks as comparisons; of a Ranker's order, each two of its items as the task lists them.

    Skipped annotations and those without a choice are left out and noted.

    Raises:
      UserError: a task has no annotations or no texts that could be meant.
    """
    for place, task in places(rows):
        data = value(task, "data", place)
        if not isinstance(data, dict) or not isinstance(task.get("annotations"), list):
            raise UserError(f"{place} is no task with annotations; export from Label Studio as JSON, not JSON-MIN")
        for annotation in task["annotations"]:
            if annotation.get("was_cancelled"):
                notes.left_out["annotations were skipped"] += 1
                continue
            sources = {name: data[name] for name in _SOURCES if name in data}
            told = about({**sources, **_annotated(annotation)}, place)
            found = list(_choices(annotation.get("result") or [], data, unsaid, place))
            if not found:
                notes.left_out["annotations choose nothing"] += 1
            told["strength"] = _strength(annotation, place) if len(found) == 1 and found[0][2] in ("a", "b") else None
            prompt = prompt_of(data, unsaid, place)
            for a, b, preferred in found:
                yield judgement(place, unsaid, prompt, (a, b), preferred, **told)


def _annotated(annotation: Row) -> dict[str, Any]:
    """Who, when and how long, under the names that records have for it."""
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return {
        "rater": None if who is None else str(who),
        "created": annotation.get("created_at"),
        "seconds": annotation.get("lead_time"),
    }


def _strength(annotation: Row, place: str) -> int | None:
    ratings = [each["value"].get("rating") for each in annotation["result"] if each.get("type") == "rating"]
    rating = number_of(ratings[0], place) if ratings else None
    return int(rating) if rating in (1, 2, 3) else None


def _choices(results: Sequence[Row], data: Row, unsaid: Unsaid, place: str) -> Iterator[tuple[str, str, Preferred]]:
    """(a, b, preferred) of what one annotation says; results of other tags are passed over."""
    for result in results:
        told = result.get("value", {})
        if "selected" in told:
            yield *_texts(result, data, unsaid, place), meaning(told["selected"], place)
        elif "ranker" in told and isinstance(told["ranker"], list):
            yield from _ranked(told["ranker"], data, place)
        elif told.get("choices") and result.get("type") == "choices":
            yield *_texts(result, data, unsaid, place), meaning(told["choices"][0], place)


def _texts(result: Row, data: Row, unsaid: Unsaid, place: str) -> tuple[str, str]:
    """The two texts: as the user names them, as the tag does, or as such fields are usually called."""
    tagged = tuple(str(result.get("to_name", "")).split(","))
    given = (unsaid.a, unsaid.b) if unsaid.a and unsaid.b else None
    pair = given or next(
        (names for names in (tagged, *_CANDIDATES) if len(names) == 2 and set(names) <= set(data)), None
    )
    if pair is None:
        raise UserError(
            f"{place}: which fields are the two texts? name them with --a and --b; there are {', '.join(data)}"
        )
    return text_of(value(data, pair[0], place), place), text_of(value(data, pair[1], place), place)


def _ranked(order: list[Any], data: Row, place: str) -> Iterator[tuple[str, str, Preferred]]:
    lists = [
        field for field in data.values() if isinstance(field, list) and all(isinstance(each, dict) for each in field)
    ]
    items = next((items for items in lists if set(order) <= {item.get("id") for item in items}), None)
    if items is None:
        raise UserError(f"{place}: the task has no list of items with the ids {', '.join(map(str, order)):.60}")
    rank = {name: i for i, name in enumerate(order)}
    for a, b in combinations([item for item in items if item["id"] in rank], 2):
        texts = [next((item[key] for key in ("body", "html", "title") if item.get(key)), "") for item in (a, b)]
        first, second = (text_of(text, place) for text in texts)
        yield first, second, "a" if rank[a["id"]] < rank[b["id"]] else "b"
