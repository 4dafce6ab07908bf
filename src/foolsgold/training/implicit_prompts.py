"""The prompt of two dialogues that begin alike, where a data set has no column for it."""

from __future__ import annotations

from foolsgold.policies.messages import Message, Text

_HUMAN = "\n\nHuman:"
_ASSISTANT = "\n\nAssistant:"


def shared_prompt(chosen: Text, rejected: Text) -> tuple[Text, Text, Text]:
    """(prompt, chosen, rejected): what both begin with, and how each goes on.

    - Messages: the turns they share, except that each keeps its last.
    - Dialogues as in hh-rlhf, "\\n\\nHuman: … \\n\\nAssistant: …" (Bai et al. 2022): up to the last "Assistant:" they
      share, so that an answer whose first words agree is not cut in two.
    - Other strings: the words they share, as in TRL; the space goes with the word behind it.

    Raises:
      ValueError: one is text and the other messages, or two lists of messages share no turn.
    """
    if isinstance(chosen, str) and isinstance(rejected, str):
        at = _shared_text(chosen, rejected)
        return chosen[:at], chosen[at:], rejected[at:]
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise ValueError("one of chosen and rejected is text, the other a list of messages")
    turns = _shared_turns(chosen, rejected)
    if not turns:
        raise ValueError("there is no prompt, and chosen and rejected do not begin with the same message")
    return chosen[:turns], chosen[turns:], rejected[turns:]


def _shared_text(chosen: str, rejected: str) -> int:
    length = next((i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), None)
    shared = min(chosen, rejected, key=len)[:length]
    if shared.startswith(_HUMAN) and _ASSISTANT in shared:
        return shared.rfind(_ASSISTANT) + len(_ASSISTANT)
    return max(shared.rfind(" "), shared.rfind("\n"), 0)


def _shared_turns(chosen: list[Message], rejected: list[Message]) -> int:
    most = min(len(chosen), len(rejected)) - 1
    return next((i for i in range(most) if chosen[i] != rejected[i]), most)
