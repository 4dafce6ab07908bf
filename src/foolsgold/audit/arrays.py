"""An audit of plain arrays, for who trains and samples elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.audit.trust import Trust
from foolsgold.errors import UserError


def audit_arrays(
    proxy: ArrayLike,
    gold: ArrayLike,
    kl: ArrayLike | None = None,
    *,
    steps: Sequence[int] | None = None,
    prompts: Sequence[str] | None = None,
    texts: Sequence | None = None,
    chance: ArrayLike | None = None,
    seed: int = 0,
) -> Trust:
    """How far `proxy` can be trusted, from rewards alone.

    Args:
      proxy: `[P, N]`, N samples of one policy for each of P prompts: audits the best of n; or `[K, P, N]`, the same
        prompts at K checkpoints of a run: audits RL. Where the run begins at a KL of 0, its first checkpoint is
        audited for the best of n as well.
      gold: of the same shape, NaN where nobody judged.
      kl: `[K]`, nats a completion from the initial policy; only of a run.
      steps: `[K]`, of the checkpoints; 0, 1, 2 and so on where None.
      prompts: `[P]`, to be quoted.
      texts: `[P][N]`, or `[K][P][N]` of a run.
      chance: of the shape of `proxy`, with what chance each sample was to be judged; see `Samples`.
      seed: the same seed gives the same intervals.

    Raises:
      UserError: shapes that do not fit together, or values that are no rewards; see `Samples` and `Evidence`.
    """
    proxy, gold = (np.asarray(each, np.float64) for each in (proxy, gold))
    chance = None if chance is None else np.asarray(chance, np.float64)
    if proxy.ndim not in (2, 3) or proxy.shape != gold.shape or (chance is not None and chance.shape != proxy.shape):
        raise UserError(
            f"proxy {proxy.shape}, gold {gold.shape} and chance must all be [prompts, samples], or [checkpoints, "
            "prompts, samples] of a run"
        )
    if proxy.ndim == 2:
        if kl is not None or steps is not None:
            raise UserError("kl and steps belong to a run, whose proxy and gold are [checkpoints, prompts, samples]")
        return Trust(Evidence(Samples(proxy, gold, chance, texts), prompts=prompts), seed)
    if kl is None or np.shape(kl) != (len(proxy),):
        raise UserError(f"a run of {len(proxy)} checkpoints needs kl, one number of nats for each")
    steps = range(len(proxy)) if steps is None else steps
    for name, values in (("steps", steps), ("texts", texts)):
        if values is not None and len(values) != len(proxy):
            raise UserError(f"a run of {len(proxy)} checkpoints needs {name} of the same length, not {len(values)}")
    run = tuple(
        Checkpoint(
            int(steps[k]),
            float(np.asarray(kl)[k]),
            Samples(proxy[k], gold[k], None if chance is None else chance[k], None if texts is None else texts[k]),
        )
        for k in range(len(proxy))
    )
    start = run[0].samples if run[0].kl == 0 else None
    return Trust(Evidence(start, run, prompts), seed)
