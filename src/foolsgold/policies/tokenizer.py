"""Byte-level BPE tokenizers: trained here or loaded from a Hugging Face directory, and how they read a prompt."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from foolsgold.errors import UserError
from foolsgold.policies.messages import Message, Text, is_messages

PAD = "<|pad|>"
EOS = "<|end|>"
ROLES = ("system", "user", "assistant")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Each turn opens with a token for its role and closes with the end token, which is where sampling stops."""


def train_bpe(
    texts: Iterable[str], vocabulary: int, special: Sequence[str] = (), chat: bool = False
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (Sennrich et al. 2016; bytes as in Radford et al. 2019), the same for the same texts.

    Any text comes back from its tokens unchanged, also one with letters that `texts` never showed. Digits are tokens
    of their own, so that numbers of every length share ten of them.

    Args:
      vocabulary: tokens at most, special ones included; short texts give fewer.
      special: further tokens that stand for themselves, after those for padding (0) and the end (1).
      chat: adds a chat template, with one token a role.

    Raises:
      UserError: `vocabulary` has no room for the bytes and the special tokens.
    """
    names = list(dict.fromkeys([PAD, EOS, *(f"<|{role}|>" for role in ROLES if chat), *special]))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if vocabulary < len(names) + len(alphabet):
        raise UserError(f"a vocabulary of {vocabulary} is too small; give at least {len(names) + len(alphabet)}")
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=names, initial_alphabet=sorted(alphabet), show_progress=False
    )
    model.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        pad_token=PAD,
        eos_token=EOS,
        additional_special_tokens=names[2:],
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE if chat else None,
    )


def load_tokenizer(path_or_name: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a Hugging Face directory, or of a model on the Hub by its name.

    One without a padding token pads with its end token, with a warning: batches of this library carry lengths, so
    that nothing is taken for an end that is not one.

    Raises:
      UserError: there is no tokenizer, or it has no end token.
    """
    folder = Path(path_or_name)
    if folder.is_dir() and not any(folder.glob("*token*")) and not any(folder.glob("*vocab*")):
        raise UserError(f"{folder} holds no tokenizer; name a folder with tokenizer.json or tokenizer_config.json")
    try:
        tokenizer = _class_of(folder).from_pretrained(str(path_or_name))
    except Exception as error:  # the formats of many libraries, each with errors of its own
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"no tokenizer can be loaded from {path_or_name}; name a folder that holds one or a model on the "
            f"Hugging Face Hub ({type(error).__name__}: {reason})"
        ) from error
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {path_or_name} has no end token; set eos_token in its tokenizer_config.json")
    if tokenizer.pad_token_id is None:
        warnings.warn(
            f"the tokenizer of {path_or_name} has no padding token; padding with {tokenizer.eos_token!r}", stacklevel=2
        )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _class_of(folder: Path) -> Any:
    """What is to load the tokenizer in `folder`: the plain class where it says that it is of this one.

    transformers would choose the class by the family of the model beside it, and that of Qwen adds a token of its own
    which the model does not know.
    """
    try:
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("tokenizer_class")
    except (OSError, ValueError, AttributeError):
        return AutoTokenizer
    return PreTrainedTokenizerFast if said in _PLAIN and (folder / "tokenizer.json").exists() else AutoTokenizer


_PLAIN = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Names, old and new, of the class that is nothing but its tokenizer.json."""


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Text) -> list[int]:
    """Tokens after which the completion begins.

    A string is taken as it is, after the start token where the tokenizer has one. Messages go through the chat
    template, which opens the assistant's turn; where the last message is the assistant's, that one is continued.

    Raises:
      UserError: messages, and the tokenizer has no chat template or the template refuses them.
    """
    if isinstance(prompt, str):
        ids = list(tokenizer(prompt)["input_ids"])
        # Encoders of the older kind close every text; a prompt goes on.
        return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id and not _ends(tokenizer, prompt) else ids
    return _ids(tokenizer, _prompt_text(tokenizer, prompt))


def encode_pair(tokenizer: PreTrainedTokenizerBase, prompt: Text, completion: Text) -> tuple[list[int], list[int]]:
    """Tokens of a prompt and of its completion, the end token last.

    The prompt's are those of `encode_prompt`, whatever follows: the two are tokenized apart, as they are when a policy
    samples the second after the first. To a prompt of messages, a completion in plain text is the assistant's answer.

    Raises:
      UserError: as in `encode_prompt`; or messages answer a plain text; or the chat template writes the prompt
        differently once it is answered.
    """
    prompt_ids = encode_prompt(tokenizer, prompt)
    if isinstance(prompt, str):
        if not isinstance(completion, str):
            raise UserError("a completion of messages follows a prompt in plain text; give both in the same form")
        text = completion
    else:
        answer = [{"role": "assistant", "content": completion}] if isinstance(completion, str) else completion
        text = _answer_text(tokenizer, prompt, answer)
    ids = _ids(tokenizer, text)
    return prompt_ids, ids if ids and ids[-1] == tokenizer.eos_token_id else [*ids, tokenizer.eos_token_id]


def _answer_text(tokenizer: PreTrainedTokenizerBase, prompt: list[Message], answer: list[Message]) -> str:
    """What the chat template writes behind the prompt, up to the end token of the last turn."""
    before = _prompt_text(tokenizer, prompt)
    whole = _templated(tokenizer, [*prompt, *answer])
    if not whole.startswith(before):
        raise UserError(
            "the tokenizer's chat template writes a prompt differently once it is answered; use a template that only "
            "adds to what it wrote, or give prompts and completions in plain text"
        )
    text = whole[len(before) :]
    # Some templates go on with a line break, which no policy samples: it stops at the end token.
    return text.rstrip() if _ends(tokenizer, text.rstrip()) else text


def _prompt_text(tokenizer: PreTrainedTokenizerBase, prompt: list[Message]) -> str:
    if not is_messages(prompt):
        raise UserError(f"a prompt is a string or a list of messages with a role, not {prompt!r:.80}")
    if prompt[-1]["role"] == "assistant":
        return _templated(tokenizer, prompt, goes_on=True)
    return _templated(tokenizer, prompt, opens_answer=True)


def _templated(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message], opens_answer: bool = False, goes_on: bool = False
) -> str:
    if tokenizer.chat_template is None:
        raise UserError("the tokenizer has no chat template; set one, or give prompts and completions in plain text")
    try:
        return cast(
            str,
            tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=opens_answer, continue_final_message=goes_on
            ),
        )
    except Exception as error:  # a template is a program: it raises what it likes
        roles = ", ".join(str(message["role"]) for message in messages)
        raise UserError(f"the tokenizer's chat template refuses messages by {roles}: {error}") from error


def _ends(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    return text.endswith(tokenizer.eos_token)


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Tokens of `text` alone: templates write the start token themselves."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
