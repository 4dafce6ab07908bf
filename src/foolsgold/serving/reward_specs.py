"""Rewards as a command line names them: [NAME=]PLACE[@WEIGHT].

A place is a reward model's folder or its name on the hub, a function as in `rewards.py:brevity`, or a verifier:
`verifier:code` gives 1 for an answer that passes and 0 for one that does not, `verifier:code+partial` the share of
its checks passed. Or it is a taskset of the library verifiers: `taskset:NAME`, or `taskset:NAME?{"its": "settings"}`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from foolsgold.errors import UserError
from foolsgold.policies.tokenizer import load_tokenizer
from foolsgold.rewards.protocol import Reward, load_reward
from foolsgold.rewards.scoring import WeightedReward
from foolsgold.rewards.tasksets import TASKSET, taskset_reward
from foolsgold.rewards.text_reward_model import TextReward, load_reward_model
from foolsgold.rewards.verifiers.registry import PREFIX, load_verifier_reward

SPEC = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<place>.+?)(?:@(?P<weight>[-+]?[\d.]+(?:[eE][-+]?\d+)?))?")


def load_rewards(specs: Sequence[str], device: str = "cpu") -> list[WeightedReward]:
    """The rewards of a command line, reward models on `device`.

    Raises:
      UserError: there is none, one is written differently, or it cannot be loaded.
    """
    if not specs:
        raise UserError(
            "--reward is missing; give a reward model's folder, a function as in rewards.py:brevity, or a verifier as "
            "in verifier:code"
        )
    return [load_weighted(spec, device) for spec in specs]


def load_weighted(spec: str, device: str = "cpu") -> WeightedReward:
    """One reward: a reward model, a function as `protocol.load_reward` takes it, or a verifier.

    Raises:
      UserError: it is written differently or cannot be loaded.
    """
    name, place, weight = _parts(spec)
    reward = _load(place, name, device)
    return WeightedReward(reward, weight, name or "")


def absolute_spec(spec: str) -> str:
    """The same reward for a process in another folder."""
    place = _parts(spec)[1]
    if place.startswith((PREFIX, TASKSET)):
        return spec
    path, colon, function = place.rpartition(":") if _is_function(place) else (place, "", "")
    return spec.replace(place, str(Path(path).resolve()) + colon + function, 1) if Path(path).exists() else spec


def _parts(spec: str) -> tuple[str | None, str, float]:
    found = SPEC.fullmatch(spec)
    if found is None:
        raise UserError(f"no reward {spec!r}; write [NAME=]PLACE[@WEIGHT], such as rm=runs/reward-1/model@0.5")
    try:
        return found["name"], found["place"], float(found["weight"] or 1)
    except ValueError as error:
        raise UserError(f"the weight of {spec!r} is no number; write it as in {found['place']}@0.5") from error


def _is_function(place: str) -> bool:
    return ":" in place and not Path(place).exists()


def _load(place: str, name: str | None, device: str) -> Reward:
    if place.startswith(PREFIX):
        return load_verifier_reward(place)
    if place.startswith(TASKSET):
        return taskset_reward(place)
    if _is_function(place):
        return load_reward(place)
    model: Any = load_reward_model(place).to(device)
    return cast(Reward, TextReward(model, load_tokenizer(place), name=name or "reward_model"))
