"""What a Go network is trained on: the losses of AlphaZero with KataGo's auxiliary targets (Wu 2019, appendix).

Legend: B positions, A actions, P points. Every target is from the view of the player to move.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def policy_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy in nats of `logits` `[B, A]` to the probabilities `target` `[B, A]`: scalar."""
    return -(target * F.log_softmax(logits, 1)).sum(1).mean()


def result_loss(value: Tensor, result: Tensor) -> Tensor:
    """Cross-entropy in nats of a result in [-1, 1], where tanh(`value`) is the expectation: scalar.

    tanh(v) = 2 sigmoid(2 v) - 1, so that the chance of a win is sigmoid(2 v); a draw is half a win.

    Args:
      value: `[B]`, arctanh of the expected result.
      result: `[B]`, in [-1, 1].
    """
    return F.binary_cross_entropy_with_logits(2 * value, (result + 1) / 2)


def margin_loss(margin: Tensor, target: Tensor) -> Tensor:
    """Huber loss of the margin in units of the board's side: `[B]`, `[B]` -> scalar."""
    return F.smooth_l1_loss(margin, target)


def ownership_loss(ownership: Tensor, owner: Tensor) -> Tensor:
    """Squared error of tanh(`ownership`) `[B, P]` against `owner` `[B, P]` in [-1, 1]: scalar."""
    return torch.mean((torch.tanh(ownership) - owner) ** 2)
