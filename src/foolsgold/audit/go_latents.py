"""What a reward model sees in a Go board: its features, pooled over the board, before the head that scores them.

They are for boards what `audit.latents.latents_of` gives for texts. Letters: K boards, C channels of the trunk.
"""

from __future__ import annotations

import numpy as np
import torch

from foolsgold.policies.go_network import pooled
from foolsgold.rewards.go_reward_model import GoRewardModel, sided_planes

_BATCH = 256


@torch.inference_mode()
def board_latents(model: GoRewardModel, states: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Mean and maximum of each channel, for the sides that boards are judged for: float32 `[K, 2 C]`.

    Args:
      model: on the CPU.
      states: uint16 `[K, ROWS, S]`.
      color: int8 `[K]`, the judged sides.
    """
    planes = torch.from_numpy(sided_planes(states, color))
    return torch.cat([pooled(model.trunk(part)) for part in planes.split(_BATCH)]).numpy()
