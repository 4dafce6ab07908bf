"""What prompts and completions are: plain text, or a chat's list of messages."""

from __future__ import annotations

from typing import Any, TypeGuard

Message = dict[str, Any]
"""One turn of a chat: at least {"role": …, "content": …}."""
Text = str | list[Message]
"""A prompt or a completion."""


def is_messages(value: object) -> TypeGuard[list[Message]]:
    """Whether `value` is a chat: a list, not empty, of objects with a role."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and isinstance(turn.get("role"), str) for turn in value)
    )


def plain(text: Text) -> str:
    """The words alone: a string as it is, a chat's contents one below the other.

    Rewards that only look at the words need not ask which of the two they were given.
    """
    if isinstance(text, str):
        return text
    return "\n".join(_content(turn.get("content")) for turn in text)


def _content(content: Any) -> str:
    """A message's words; multimodal messages hold a list of parts, of which only the texts are read."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part, dict) and "text" in part)
    return content or ""
