"""One Go network being fitted: optimiser, averaged weights, and nothing about where its targets come from."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass

import numpy as np
import torch

from foolsgold.objectives import alphazero
from foolsgold.policies.go_network import GoNetwork
from foolsgold.training.replay import Batch, Positions, make_batch


@dataclass(frozen=True)
class LossWeights:
    policy: float = 1.0
    result: float = 1.0
    margin: float = 0.3
    ownership: float = 0.5


@dataclass(frozen=True)
class LearnerSettings:
    batch: int = 512
    """Positions a step."""
    learning_rate: float = 2e-3
    """Peak of AdamW's learning rate."""
    weight_decay: float = 1e-4
    average: float = 0.99
    """Decay a step of the averaged weights that play."""
    clip: float = 2.0
    """Largest norm of a gradient."""


def has_fast_bf16(device: str) -> bool:
    """Whether bf16 arithmetic is in hardware; elsewhere autocast would be slower than float32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


class GoLearner:
    """Fits a `GoNetwork`; `averaged` is the network to play with (Polyak averaging)."""

    def __init__(self, network: GoNetwork, settings: LearnerSettings, weights: LossWeights, seed: int):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.settings = settings
        self.weights = weights
        self.network = copy.deepcopy(network).requires_grad_(True).to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.rng = np.random.default_rng([seed, 1])
        self.autocast = has_fast_bf16(self.device)

    def loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The weighted loss of a batch and its parts."""
        device = self.device
        size = batch.planes.shape[-1]
        with torch.autocast(device, torch.bfloat16, enabled=self.autocast):
            found = self.network(batch.planes.to(device))
        value = found.value.float()
        parts = {
            "policy": alphazero.policy_cross_entropy(found.policy.float(), batch.policy.to(device)),
            "result": alphazero.result_loss(value[:, 0], batch.result.to(device)),
            "margin": alphazero.margin_loss(value[:, 1], batch.margin.to(device) / size),
            "ownership": alphazero.ownership_loss(found.ownership.float(), batch.ownership.to(device)),
        }
        weights = {name: getattr(self.weights, name) for name in parts}
        # A head without weight stays out of the sum: with a gradient of zero, weight decay would still shrink it.
        total = sum(weight * parts[name] for name, weight in weights.items() if weight)
        return total, parts  # type: ignore[return-value]

    def step(self, positions: Positions, learning_rate: float) -> dict[str, torch.Tensor]:
        """One optimiser step on `positions` seen from a random symmetry; returns the parts of the loss.

        Raises:
          FloatingPointError: the loss is not finite.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.network.train()
        total, parts = self.loss(make_batch(positions, int(self.rng.integers(8))))
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is {total.item()}; lower the learning rate ({learning_rate:g})")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.averaged.parameters()), list(self.network.parameters()), 1 - self.settings.average
            )
        return {name: part.detach() for name, part in parts.items()}

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything a resumed learner needs but `state`, for a checkpoint."""
        found = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        found |= {f"averaged.{k}": v for k, v in self.averaged.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                found[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
        return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}

    def state(self) -> str:
        return json.dumps(self.rng.bit_generator.state)

    def restore(self, tensors: dict[str, torch.Tensor], state: str) -> None:
        """Undo `tensors` and `state`."""
        for prefix, module in (("network.", self.network), ("averaged.", self.averaged)):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        for name, parameter in self.network.named_parameters():
            keys = {k: k.split(".")[1] for k in tensors if k.startswith("optimizer.") and k.endswith(f".{name}")}
            kept = {key: tensors[k] for k, key in keys.items() if k == f"optimizer.{key}.{name}"}
            if kept:
                # The moments take the parameters' memory layout: fused AdamW adds up differently in another.
                self.optimizer.state[parameter] = {
                    key: value.clone() if key == "step" else torch.empty_like(parameter).copy_(value)
                    for key, value in kept.items()
                }
        self.rng.bit_generator.state = json.loads(state)
