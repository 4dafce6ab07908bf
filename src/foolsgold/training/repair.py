"""Iterated RLHF within a budget of labels: ask raters about what the policy has become, refit, go on with RL.

A reward model is fooled where its comparisons do not reach. Each round the current policy writes, raters compare what
the reward overrates most with what the start wrote, the reward model learns from that too, and RL goes on against it.

Letters: P prompts, N completions of each, K pairs.

Source: Ziegler et al. 2019 (online data collection); Bai et al. 2022 (iterated online RLHF).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerBase

from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.policies.hub import LanguageModel, sample
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import encode_prompt
from foolsgold.rewards.protocol import Reward
from foolsgold.training.rollouts import derived_seed
from foolsgold.training.text_reward_model import TextComparisons


@dataclass(frozen=True)
class Candidates:
    """What the current policy and the start wrote to the same prompts."""

    prompts: Sequence[str]
    """`[P]`"""
    now: Sequence[Sequence[str]]
    """`[P][N]`, of the current policy."""
    start: Sequence[Sequence[str]]
    """`[P][N]`, of the policy before RL; at least one each."""


class Exploit(NamedTuple):
    """A completion known to fool the reward, for raters to see."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Pairs:
    """K pairs of completions for raters to compare."""

    prompts: list[str]
    a: list[str]
    b: list[str]

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class Answers:
    """Pairs, and what raters said."""

    pairs: Pairs
    prefers_a: list[float]
    """`[K]`, share of raters who prefer a, from 0 to 1."""

    def __len__(self) -> int:
        return len(self.pairs)

    def __add__(self, other: Answers) -> Answers:
        mine, others = self.pairs, other.pairs
        pairs = Pairs(mine.prompts + others.prompts, mine.a + others.a, mine.b + others.b)
        return Answers(pairs, self.prefers_a + other.prefers_a)

    def encode(self, tokenizer: PreTrainedTokenizerBase, max_length: int | None = None) -> TextComparisons:
        """As comparisons to fit a reward model to, the completion that more raters prefer as the chosen one."""
        share = np.array(self.prefers_a)
        columns = zip(self.pairs.a, self.pairs.b, share >= 0.5, strict=True)
        ordered = [(a, b) if first else (b, a) for a, b, first in columns]
        chosen, rejected = [pair[0] for pair in ordered], [pair[1] for pair in ordered]
        return TextComparisons.encode(
            tokenizer, self.pairs.prompts, chosen, rejected, max_length, probabilities=np.maximum(share, 1 - share)
        )


Draw = Callable[[int], Candidates]
"""Maps the round, from 1, to candidates of the policy as it then is."""
Compare = Callable[[Pairs, int], Sequence[float]]
"""Maps pairs and the round to the share of raters who prefer a, `[K]`: asks them."""
FitReward = Callable[[Answers, int, Path | None], Reward]
"""Maps all answers so far, the round and its folder to a reward fitted to them and to what it was fitted to before."""
Train = Callable[[Reward, int, Path | None], None]
"""Goes on with RL against a reward, in a round and its folder."""
Overrated = Callable[[Sequence[str], Sequence[str], Sequence[str]], np.ndarray]
"""Maps prompts, completions and, of each, one that the start wrote, `[K]` each, to how much the completion may be
overrated, `[K]`."""


def by_lead(reward: Reward) -> Overrated:
    """The reward's lead over what the start wrote: a policy trained on a reward gains where it is wrong, too."""

    def overrated(prompts: Sequence[str], now: Sequence[str], start: Sequence[str]) -> np.ndarray:
        said = reward(prompts=[*prompts, *prompts], completions=[*now, *start])
        scores = np.array(said, np.float64)
        return scores[: len(now)] - scores[len(now) :]

    return overrated


def by_disagreement(members: Sequence[Reward]) -> Overrated:
    """Standard deviation of that lead between the members of an ensemble."""

    def overrated(prompts: Sequence[str], now: Sequence[str], start: Sequence[str]) -> np.ndarray:
        return np.std([by_lead(member)(prompts, now, start) for member in members], axis=0)

    return overrated


def choose_pairs(
    candidates: Candidates, overrated: Overrated, budget: int, seed: int, exploits: Sequence[Exploit] = ()
) -> Pairs:
    """Pairs worth a label: each of one new completion and one of the start's to the same prompt.

    Exploits come first, up to half of the budget; then, prompt by prompt in turn, the completions most overrated, no
    completion twice. Which of a pair is shown first is left to chance, so that raters cannot tell.

    Args:
      budget: K at most; fewer where there are no more candidates.

    Raises:
      UserError: the budget is below 1, or an exploit is to a prompt that is not among the candidates'.
    """
    if budget < 1:
        raise UserError(f"a budget of {budget} labels asks nobody; give at least 1")
    rng = np.random.default_rng([seed, 41])
    started = dict(zip(candidates.prompts, candidates.start, strict=True))
    unknown = [exploit.prompt for exploit in exploits if exploit.prompt not in started]
    if unknown:
        raise UserError(f"there is no completion of the start to compare an exploit with to the prompt {unknown[0]!r}")
    chosen = [(e.prompt, e.completion, str(rng.choice(started[e.prompt]))) for e in exploits[: (budget + 1) // 2]]
    rows = [
        (prompt, new, str(rng.choice(started[prompt])))
        for prompt, news in zip(candidates.prompts, candidates.now, strict=True)
        for new in dict.fromkeys(news)
    ]
    suspicion = overrated(*map(list, zip(*rows, strict=True))) if rows else np.zeros(0)
    suspicion = np.nan_to_num(suspicion, nan=-np.inf)  # where the reward does not apply
    ranked: dict[str, list[tuple[float, int]]] = {prompt: [] for prompt in candidates.prompts}
    for i in np.argsort(-suspicion, kind="stable"):
        ranked[rows[i][0]].append((float(suspicion[i]), int(i)))
    turns = [(turn, -value, i) for each in ranked.values() for turn, (value, i) in enumerate(each)]
    asked = {(prompt, new) for prompt, new, _ in chosen}
    rest = [rows[i] for _, _, i in sorted(turns) if rows[i][:2] not in asked]
    chosen += rest[: budget - len(chosen)]
    swapped = rng.random(len(chosen)) < 0.5
    return Pairs(
        [prompt for prompt, _, _ in chosen],
        [old if swap else new for (_, new, old), swap in zip(chosen, swapped, strict=True)],
        [new if swap else old for (_, new, old), swap in zip(chosen, swapped, strict=True)],
    )


@dataclass(frozen=True)
class Repaired:
    """What a repair ended with; the policy is trained in place."""

    reward: Reward
    """Of the last round."""
    answers: Answers
    """Of all rounds."""


def repair(
    draw: Draw,
    compare: Compare,
    fit_reward: FitReward,
    train: Train,
    reward: Reward,
    rounds: int,
    labels_a_round: int,
    overrated: Callable[[Reward], Overrated] = by_lead,
    exploits: Callable[[Reward, int], Sequence[Exploit]] = lambda reward, number: (),
    seed: int = 0,
    folder: str | Path | None = None,
) -> Repaired:
    """Ask, refit, go on with RL, for some rounds. A repair in `folder` goes on where it stopped; nobody is asked twice.

    Each round has a folder of its own, `round-01` and so on, with its `answers.json` and whatever `fit_reward` and
    `train` keep there. They are called again for rounds that are done, so they must take up their own results, as
    `fit_text_reward_model` and `train_policy` do in a folder; `draw` and `compare` are not.

    Args:
      draw, compare, fit_reward, train: see their types.
      reward: that the policy was trained on so far.
      rounds, labels_a_round: the budget is their product.
      overrated: makes of a round's reward what chooses its pairs: `by_lead`, or for an ensemble
        `lambda reward: by_disagreement(reward.members)`.
      exploits: found against a round's reward, for instance by search; none by default.

    Raises:
      UserError: see `choose_pairs`; or raters gave another number of answers, or none from 0 to 1.
    """
    answers = Answers(Pairs([], [], []), [])
    for number in range(1, rounds + 1):
        here = None if folder is None else Path(folder) / f"round-{number:02}"
        found = _read(here)
        if found is None:
            candidates, known = draw(number), exploits(reward, number)
            pairs = choose_pairs(candidates, overrated(reward), labels_a_round, derived_seed(seed, number), known)
            found = Answers(pairs, _checked(compare(pairs, number), len(pairs)))
            _write(here, found)
        answers = answers + found
        reward = fit_reward(answers, number, here)
        train(reward, number, here)
    return Repaired(reward, answers)


def draw_candidates(
    policy: LanguageModel,
    start: LanguageModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    sampling: Sampling,
    samples: int,
    seed: int,
) -> Candidates:
    """What two policies write to the same prompts, `samples` completions each."""
    ids = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    decode = tokenizer.decode if sampling.stop_strings else None

    def written(model: LanguageModel, which: int) -> list[list[str]]:
        drawn = sample(model, ids, sampling, derived_seed(seed, which), samples, decode)  # type: ignore[arg-type]
        texts = tokenizer.batch_decode(drawn.completions(), skip_special_tokens=True)
        return [texts[i : i + samples] for i in range(0, len(texts), samples)]

    return Candidates(list(prompts), written(policy, 1), written(start, 2))


def joined(old: TextComparisons, new: TextComparisons, weight: float = 1.0) -> TextComparisons:
    """Old comparisons with new ones behind them, each new one counted `weight` times.

    Raises:
      ValueError: the old ones have margins, which new ones have not.
    """
    if old.margins is not None or new.margins is not None:
        raise ValueError("comparisons with margins cannot be joined to answers of raters, which have none")

    def column(values: np.ndarray | None, n: int) -> np.ndarray:
        return np.ones(n) if values is None else np.asarray(values, np.float64)

    return replace(
        old,
        prompts=[*old.prompts, *new.prompts],
        chosen=[*old.chosen, *new.chosen],
        rejected=[*old.rejected, *new.rejected],
        probabilities=np.concatenate([column(each.probabilities, len(each)) for each in (old, new)]),
        weights=np.concatenate([column(old.weights, len(old)), weight * column(new.weights, len(new))]),
    )


def _checked(said: Sequence[float], count: int) -> list[float]:
    shares = np.asarray(said, np.float64)
    if shares.shape != (count,) or not ((shares >= 0) & (shares <= 1)).all():
        raise UserError(f"raters gave {shares.shape} answers to {count} pairs; give one from 0 to 1 for each")
    return shares.tolist()


def _write(here: Path | None, answers: Answers) -> None:
    if here is not None:
        write_text(here / "answers.json", json.dumps(asdict(answers)))


def _read(here: Path | None) -> Answers | None:
    if here is None or not (here / "answers.json").exists():
        return None
    data = json.loads((here / "answers.json").read_text(encoding="utf-8"))
    return Answers(Pairs(**data["pairs"]), data["prefers_a"])
