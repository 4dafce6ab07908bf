import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.training.implicit_prompts import shared_prompt

HH = Path(__file__).resolve().parents[3] / "shared" / "data" / "preferences" / "hh_harmless_test.jsonl.gz"


def turns(*contents):
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


def test_dialogues_in_text_are_cut_at_the_last_answer_they_share():
    start = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Why?\n\nAssistant:"
    assert shared_prompt(f"{start} Because it is.", f"{start} Because it was.") == (
        start,
        " Because it is.",
        " Because it was.",
    )


def test_the_shared_words_of_other_texts_are_the_prompt():
    assert shared_prompt("The sky is blue.", "The sky is green.") == ("The sky is", " blue.", " green.")
    assert shared_prompt("They ran", "They run") == ("They", " ran", " run")
    assert shared_prompt("a", "b") == ("", "a", "b")


messages = st.lists(st.sampled_from(["yes", "no"]), min_size=1, max_size=5).map(lambda contents: turns(*contents))


@settings(deadline=None)
@given(messages, messages)
def test_messages_share_what_trl_finds(chosen, rejected):
    extract_prompt = pytest.importorskip("trl").extract_prompt
    theirs = extract_prompt({"chosen": chosen, "rejected": rejected})
    if not theirs["prompt"] or not theirs["chosen"] or not theirs["rejected"]:
        return  # TRL leaves an answer empty where one dialogue is the other's beginning
    assert shared_prompt(chosen, rejected) == (theirs["prompt"], theirs["chosen"], theirs["rejected"])


def test_each_dialogue_keeps_its_last_message():
    short, long = turns("Hi", "Hello"), turns("Hi", "Hello", "Why?", "So.")
    assert shared_prompt(short, long) == (short[:1], short[1:], long[1:])


letters = st.text("ab \n", max_size=12)


@given(letters, letters, letters)
def test_nothing_is_lost(start, first, second):
    for shared in (start, f"\n\nHuman: {start}\n\nAssistant:"):
        prompt, chosen, rejected = shared_prompt(shared + first, shared + second)
        assert (prompt + chosen, prompt + rejected) == (shared + first, shared + second)


def test_dialogues_without_a_common_beginning_are_refused():
    with pytest.raises(ValueError, match="do not begin with the same message"):
        shared_prompt(turns("Hi", "Hello"), turns("Why?", "So."))
    with pytest.raises(ValueError, match="one of chosen and rejected is text"):
        shared_prompt("Hi", turns("Hi", "Hello"))


@pytest.mark.skipif(not HH.exists(), reason="needs hh-rlhf")
def test_dialogues_of_hh_rlhf():
    """In the harmless test pairs of Bai et al. 2022, the longer answer is the chosen one in 44.5 %."""
    with gzip.open(HH) as lines:
        pairs = [json.loads(line) for line in lines]
    rows = [shared_prompt(pair["chosen"], pair["rejected"]) for pair in pairs]
    assert len(rows) == 2312
    for pair, (prompt, chosen, rejected) in zip(pairs, rows, strict=True):
        assert prompt.startswith("\n\nHuman:")
        assert prompt.endswith("\n\nAssistant:")
        assert (prompt + chosen, prompt + rejected) == (pair["chosen"], pair["rejected"])
        assert chosen[0] == rejected[0] == " "
        assert "\n\nHuman:" not in chosen + rejected
        assert chosen != rejected
    decided = [len(chosen) > len(rejected) for _, chosen, rejected in rows if len(chosen) != len(rejected)]
    assert sum(decided) / len(decided) == pytest.approx(0.445, abs=0.0005)
