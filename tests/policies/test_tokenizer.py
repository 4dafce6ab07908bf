import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config

from foolsgold.errors import UserError
from foolsgold.policies.messages import is_messages, plain
from foolsgold.policies.tokenizer import EOS, PAD, encode_pair, encode_prompt, load_tokenizer, train_bpe

TEXTS = ["the gold that glitters is not the gold that pays", "the the the the", "12 and 345 and 12"] * 4
QUESTION = [{"role": "user", "content": "what pays"}]
ANSWER = [{"role": "assistant", "content": "gold"}]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(TEXTS, 300)


@pytest.fixture(scope="module")
def chat():
    return train_bpe(TEXTS, 300, chat=True)


def test_merges_are_the_most_frequent_pairs_in_order():
    """By hand: Ġ is the space before a word."""
    tokenizer = train_bpe(["abab abab ab"], 256 + 2 + 2)
    # Pairs: a-b 5 times, b-a 2, Ġ-a 2. Then ab-ab 2 and Ġ-ab 2; the tie goes to the smaller ids, the alphabet's.
    assert tokenizer.convert_tokens_to_ids("ab") == 258
    assert tokenizer.convert_ids_to_tokens(259) == "Ġab"
    assert len(tokenizer) == 260


def test_special_tokens_come_first(tokenizer):
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == (PAD, 0)
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == (EOS, 1)
    assert len(tokenizer) <= 300
    more = train_bpe(TEXTS, 300, special=["<|score|>"])
    assert more("<|score|>a")["input_ids"][0] == more.convert_tokens_to_ids("<|score|>") == 2


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_every_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_digits_are_tokens_of_their_own(tokenizer):
    assert tokenizer.convert_ids_to_tokens(tokenizer("123")["input_ids"]) == ["1", "2", "3"]


def test_training_is_deterministic_across_processes(tokenizer):
    code = (
        "import sys, json; from foolsgold.policies.tokenizer import train_bpe;"
        "print(train_bpe(json.loads(sys.argv[1]), 300).backend_tokenizer.to_str())"
    )
    told = subprocess.run([sys.executable, "-c", code, json.dumps(TEXTS)], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == tokenizer.backend_tokenizer.to_str()


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    with pytest.raises(UserError, match="too small; give at least 258"):
        train_bpe(TEXTS, 200)


def test_a_tokenizer_comes_back_from_its_directory(chat, tmp_path):
    chat.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (loaded.pad_token_id, loaded.eos_token_id) == (0, 1)
    assert loaded.chat_template == chat.chat_template
    text = f"the gold {EOS} 碁  is , not ."
    assert loaded(text)["input_ids"] == chat(text)["input_ids"]
    assert loaded.decode(loaded(text)["input_ids"]) == text
    assert encode_pair(loaded, QUESTION, ANSWER) == encode_pair(chat, QUESTION, ANSWER)


def test_a_model_beside_it_adds_no_tokens_to_a_tokenizer(tokenizer, tmp_path):
    Qwen2Config(vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert len(AutoTokenizer.from_pretrained(tmp_path)) > len(tokenizer)  # what transformers would make of it
    loaded = load_tokenizer(tmp_path)
    assert len(loaded) == len(tokenizer)
    assert loaded("the cat sat")["input_ids"] == tokenizer("the cat sat")["input_ids"]
    assert (loaded.eos_token, loaded.pad_token) == (tokenizer.eos_token, tokenizer.pad_token)


def test_a_folder_without_a_tokenizer_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="holds no tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("no json")
    with pytest.raises(UserError, match="no tokenizer can be loaded from"):
        load_tokenizer(tmp_path)
    with pytest.raises(UserError, match=r"no tokenizer can be loaded from .*nowhere; name a folder"):
        load_tokenizer(tmp_path / "nowhere")


def test_missing_pad_and_end_tokens(tmp_path):
    letters = Tokenizer(models.WordLevel({"a": 0, "b": 1, "</s>": 2, "<unk>": 3}, unk_token="<unk>"))
    letters.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=letters, eos_token="</s>").save_pretrained(tmp_path / "no_pad")
    with pytest.warns(UserWarning, match="no padding token; padding with '</s>'"):
        assert load_tokenizer(tmp_path / "no_pad").pad_token_id == 2
    PreTrainedTokenizerFast(tokenizer_object=letters).save_pretrained(tmp_path / "no_end")
    with pytest.raises(UserError, match="no end token"):
        load_tokenizer(tmp_path / "no_end")


def test_a_plain_prompt_and_its_completion(tokenizer):
    prompt, completion = encode_pair(tokenizer, "the gold", " that")
    assert prompt == encode_prompt(tokenizer, "the gold") == tokenizer("the gold")["input_ids"]
    assert completion == [*tokenizer(" that")["input_ids"], tokenizer.eos_token_id]
    assert encode_pair(tokenizer, "the gold", f" that{EOS}")[1] == completion
    assert encode_pair(tokenizer, "", "") == ([], [tokenizer.eos_token_id])


def test_the_trained_chat_template_written_out(chat):
    prompt, completion = encode_pair(chat, [{"role": "system", "content": "be brief"}, *QUESTION], ANSWER)
    assert chat.decode(prompt) == "<|system|>be brief<|end|><|user|>what pays<|end|><|assistant|>"
    assert chat.decode(completion) == "gold<|end|>"
    assert completion.count(chat.eos_token_id) == 1
    assert chat.convert_ids_to_tokens(prompt)[0] == "<|system|>"


def test_a_plain_answer_to_messages_is_the_assistants(chat):
    assert encode_pair(chat, QUESTION, "gold") == encode_pair(chat, QUESTION, ANSWER)


def test_a_begun_answer_goes_on(chat):
    assert chat.decode(encode_prompt(chat, [*QUESTION, *ANSWER])) == "<|user|>what pays<|end|><|assistant|>gold"


contents = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)


@settings(max_examples=50, deadline=None)
@given(contents, contents)
def test_a_prompt_has_the_same_tokens_whatever_follows(chat, question, answer):
    prompt = [{"role": "user", "content": question}]
    ids, completion = encode_pair(chat, prompt, [{"role": "assistant", "content": answer}])
    assert ids == encode_prompt(chat, prompt)
    assert chat.decode(ids + completion) == f"<|user|>{question}<|end|><|assistant|>{answer}<|end|>"


def test_a_template_with_a_line_break_after_its_end_token():
    """As in Qwen's: the line break is written before the next turn, never sampled."""
    tokenizer = train_bpe(TEXTS, 300, special=["<|im_start|>", "<|im_end|>"])
    tokenizer.chat_template, tokenizer.eos_token = CHATML, "<|im_end|>"
    prompt, completion = encode_pair(tokenizer, QUESTION, ANSWER)
    assert tokenizer.decode(prompt) == "<|im_start|>user\nwhat pays<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(completion) == "gold<|im_end|>"


def test_a_template_without_an_end_token_gets_one(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    plain_chat = load_tokenizer(tmp_path)
    plain_chat.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}" + (
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    assert plain_chat.decode(encode_pair(plain_chat, QUESTION, ANSWER)[1]) == "gold\n<|end|>"


def test_what_a_tokenizer_cannot_do_is_said(tokenizer, chat, tmp_path):
    with pytest.raises(UserError, match="has no chat template"):
        encode_prompt(tokenizer, QUESTION)
    with pytest.raises(UserError, match="give both in the same form"):
        encode_pair(chat, "what pays", ANSWER)
    with pytest.raises(UserError, match="a string or a list of messages"):
        encode_prompt(chat, [])
    chat.save_pretrained(tmp_path)
    other = load_tokenizer(tmp_path)
    other.chat_template = "{{ raise_exception('only users speak') }}"
    with pytest.raises(UserError, match="refuses messages by user: only users speak"):
        encode_prompt(other, QUESTION)
    other.chat_template = "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(UserError, match="writes a prompt differently once it is answered"):
        encode_pair(other, QUESTION, ANSWER)


def test_the_start_token_of_llama_comes_once(tokenizer, tmp_path):
    from tokenizers.processors import TemplateProcessing

    model = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    model.post_processor = TemplateProcessing(
        single=f"{PAD} $A {EOS}", special_tokens=[(PAD, 0), (EOS, 1)]
    )  # an encoder of the older kind: start and end round every text
    wrapped = PreTrainedTokenizerFast(tokenizer_object=model, bos_token=PAD, pad_token=PAD, eos_token=EOS)
    prompt, completion = encode_pair(wrapped, "the", " gold")
    assert prompt == [0, *tokenizer("the")["input_ids"]]
    assert completion == [*tokenizer(" gold")["input_ids"], 1]


def test_messages_are_told_from_text():
    assert is_messages(QUESTION)
    assert not is_messages("user")
    assert not is_messages([])
    assert not is_messages([{"content": "nobody"}])
    assert plain("gold") == "gold"
    assert plain([*QUESTION, *ANSWER]) == "what pays\ngold"
    parts = [{"type": "text", "text": "what"}, {"type": "image"}, {"type": "text", "text": "pays"}]
    assert plain([{"role": "user", "content": parts}, {"role": "assistant", "content": None}]) == "what\npays\n"
