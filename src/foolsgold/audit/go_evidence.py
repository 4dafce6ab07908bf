"""Evidence on a reward model of Go boards: games of policies without search, by its reward and by the score."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.environments.go.rules import BLACK
from foolsgold.errors import UserError
from foolsgold.labels.board_comparisons import board_texts
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.rewards.go_reward_model import GoReward, GoRewardModel
from foolsgold.training import checkpoint
from foolsgold.training.go_rollouts import GoGames, GoPrompts, RawPlayer, draw_prompts, play_games
from foolsgold.training.self_play import load_snapshot

Gold = Literal["win", "margin"]
GOLD_NAMES: dict[Gold, str] = {"win": "games won", "margin": "score, in boards"}
Report = Callable[[int, int], None]
"""Progress: called with (games over, games)."""


def collect(
    base: GoNetwork,
    snapshots: Sequence[tuple[int, GoNetwork]],
    reward: GoReward,
    size: int,
    *,
    prompts: int = 64,
    games: int = 8,
    start_games: int = 64,
    gold: Gold = "win",
    seed: int = 0,
    report: Report = lambda done, total: None,
) -> Evidence:
    """Play the base policy and what RL made of it against the base policy, all from the same openings.

    Games are drawn with the same random numbers for every snapshot, so that differences along the run are measured more
    closely than each point by itself. KL is that of the policy's own moves, see `GoGames.kl`.

    Args:
      base: the policy that RL began with, and the opponent.
      snapshots: (step, network) in the order of their steps.
      reward: proxy is its margin for the policy's side on the final board, in logits.
      size: side of the board.
      prompts: openings, an even number: each is played with both colours.
      games: of each snapshot from each opening.
      start_games: of the base policy from each opening, a multiple of `games`, for the best of n.
      gold: "win" is what Go is about: 1, 0.5 for a draw, 0. "margin" tells more a game: the score with komi counted,
        divided by the points of the board.

    Raises:
      UserError: `prompts` is odd, or `start_games` is no multiple of `games`.
    """
    if games < 1 or start_games < games or start_games % games:
        raise UserError(f"{start_games} games at the start are no multiple of {games}; give one")
    drawn = draw_prompts(size, prompts, seed)
    width = prompts // 2 * games
    opponent = RawPlayer(base, size, width)
    rounds = start_games // games
    batch, total = prompts * games, (rounds + len(snapshots)) * prompts * games
    parts = []
    for number in range(rounds):
        played = play_games(opponent, opponent, drawn, games, seed, number)
        parts.append(_samples(played, size, reward, gold))
        report((number + 1) * batch, total)
    run = []
    for number, (step, network) in enumerate(snapshots, start=rounds + 1):
        played = play_games(RawPlayer(network, size, width), opponent, drawn, games, seed)
        kl, error = played.mean_kl
        run.append(Checkpoint(step, kl, _samples(played, size, reward, gold), error))
        report(number * batch, total)
    return Evidence(_joined(parts), tuple(run), _prompt_texts(drawn), "reward model's margin, logits", GOLD_NAMES[gold])


def evidence_of_run(
    folder: str | Path,
    report: Report = lambda done, total: None,
    *,
    agent: Literal["rlhf", "rl"] = "rlhf",
    prompts: int = 64,
    games: int = 8,
    start_games: int = 64,
    gold: Gold = "win",
    seed: int = 0,
) -> Evidence:
    """Evidence of a run of the study `alphago`, finished or under way; nothing in its folder is written.

    Steps are iterations of self-play. All play without search, though the run searched: it is the network that RL
    changed, and only without search does its distance from the start have a KL.

    Args:
      folder: `runs/alphago-<stamp>`.
      agent: whose snapshots: "rlhf", trained on the reward model, or "rl", trained on the score, for comparison. Where
        there are none yet, the evidence has no run.
      prompts, games, start_games, gold, seed: see `collect`.

    Raises:
      UserError: no such run, its base policy or reward model is not there yet, or as `collect`.
    """
    folder = Path(folder)
    size, network_size = _board_and_network(folder)
    kept = folder / "checkpoints"
    base, model = GoNetwork(network_size), GoRewardModel(network_size)
    parts: list[tuple[str, GoNetwork | GoRewardModel]] = [("base", base), ("reward_model", model)]
    for name, module in parts:
        path = kept / f"{name}.safetensors"
        if not path.exists():
            what = name.replace("_", " ")
            raise UserError(f"{folder} has no {what} yet ({path} is not there); audit it again once the run made one")
        module.load_state_dict(checkpoint.load(path)[0])
    return collect(
        base,
        kept_snapshots(kept / agent, base),
        GoReward(model, size),
        size,
        prompts=prompts,
        games=games,
        start_games=start_games,
        gold=gold,
        seed=seed,
        report=report,
    )


def kept_snapshots(folder: str | Path, base: GoNetwork) -> list[tuple[int, GoNetwork]]:
    """The networks that self-play or policy gradient kept in `folder`, each with its iteration or step, in order.

    Args:
      base: a network of the same size.
    """
    names = (re.fullmatch(r"network-(\d+)\.safetensors", path.name) for path in Path(folder).glob("network-*"))
    steps = sorted(int(name[1]) for name in names if name)
    return [(step, load_snapshot(Path(folder), step, base)) for step in steps]


def _board_and_network(folder: Path) -> tuple[int, NetworkSize]:
    # Read without `RunFolder.open`, which mends the metrics of a run that may still be writing them.
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if record["study"] == "alphago":
            return int(record["config"]["board"]), NetworkSize(**record["config"]["network"])
        problem = f"is a run of the study {record['study']}"
    except (OSError, ValueError, KeyError, TypeError):
        problem = "has no config.json of a run"
    raise UserError(f"{folder} {problem}; name a folder such as runs/alphago-<stamp>")


def _samples(played: GoGames, size: int, reward: GoReward, gold: Gold) -> Samples:
    proxy = played.grouped(played.sign * reward.margin(played.final).astype(np.float64))
    true = played.grouped(played.won if gold == "win" else played.score / size**2)
    texts = board_texts(played.final)
    rows = [texts[start : start + played.group] for start in range(0, len(texts), played.group)]
    return Samples(proxy, true, texts=rows)


def _joined(parts: list[Samples]) -> Samples:
    """Samples of the same prompts side by side."""
    texts = [[text for row in rows for text in row] for rows in zip(*(part.texts or () for part in parts), strict=True)]
    return Samples(
        np.concatenate([part.proxy for part in parts], 1), np.concatenate([part.gold for part in parts], 1), texts=texts
    )


def _prompt_texts(prompts: GoPrompts) -> list[str]:
    """One line a prompt: side, board, komi and the opening's stones."""
    return [
        f"{'Black' if color == BLACK else 'White'} on {prompts.size}x{prompts.size}, komi {komi:g}, from {board}"
        for color, komi, board in zip(prompts.color, prompts.komi, board_texts(prompts.states), strict=True)
    ]
