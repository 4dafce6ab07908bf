"""AdamW over one flat buffer: a float32 master copy, a working copy that the model computes with, and one gradient.

Clipping, the update and the copy back are then one call each, however many tensors the model has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class AdamWSettings:
    """AdamW (Loshchilov and Hutter 2019) and clipping."""

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    """Of matrices only; norms and biases do not decay."""
    clip: float = 1.0
    """Largest norm of the gradient; inf leaves it alone."""


def working_dtype(device: torch.device | str) -> torch.dtype:
    """bfloat16 where the machine multiplies it faster than float32, else float32."""
    if torch.device(device).type == "cuda":
        return torch.bfloat16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


class FlatAdamW:
    """Optimises a module whose parameters become views of one buffer.

    A pass is: backward, `collect`, as often as micro-batches need, then `step`.

    Args:
      module: its trainable parameters are moved into the buffers; the others stay as they are.
      settings: of AdamW.
      dtype: of the working copy; that of `working_dtype` where None.
    """

    def __init__(self, module: torch.nn.Module, settings: AdamWSettings, dtype: torch.dtype | None = None):
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        # Matrices first, so that what decays is one slice.
        self.parameters = [p for p in trained if p.ndim >= 2] + [p for p in trained if p.ndim < 2]
        if not self.parameters:
            raise ValueError("the module has no trainable parameters")
        self.settings = settings
        device = self.parameters[0].device
        dtype = dtype or working_dtype(device)
        self.master = torch.cat([p.detach().float().reshape(-1) for p in self.parameters])
        self.gradient = torch.zeros_like(self.master)
        self._working = self.master if dtype == torch.float32 else self.master.to(dtype)
        self._fresh = self.gradient if dtype == torch.float32 else torch.zeros_like(self._working)
        for parameter, values, gradients in zip(
            self.parameters, self._views(self._working), self._views(self._fresh), strict=True
        ):
            parameter.data = values
            parameter.grad = gradients
        decayed = sum(p.numel() for p in self.parameters if p.ndim >= 2)
        ends = [slice(0, decayed), slice(decayed, len(self.master))]
        self._slices = [torch.nn.Parameter(self.master[end]) for end in ends if self.master[end].numel()]
        for part, end in zip(self._slices, (e for e in ends if self.master[e].numel()), strict=True):
            part.grad = self.gradient[end]
        decays = [settings.weight_decay if i == 0 and decayed else 0.0 for i in range(len(self._slices))]
        self._adamw = torch.optim.AdamW(
            [{"params": [part], "weight_decay": decay} for part, decay in zip(self._slices, decays, strict=True)],
            lr=settings.learning_rate,
            betas=settings.betas,
            eps=settings.epsilon,
            fused=True,
        )

    def _views(self, flat: torch.Tensor) -> Iterator[torch.Tensor]:
        start = 0
        for parameter in self.parameters:
            yield flat[start : start + parameter.numel()].view(parameter.shape)
            start += parameter.numel()

    def collect(self) -> None:
        """Add the gradient of the last backward to that of the step, in float32."""
        if self._fresh is not self.gradient:
            self.gradient += self._fresh
            self._fresh.zero_()

    def step(self, share: float = 1.0) -> float:
        """Clip, update, clear the gradient; returns its norm before clipping, which may be NaN.

        Nothing is changed but the gradient, which is cleared, where the norm is not finite.

        Args:
          share: of the learning rate, as a schedule gives it.
        """
        norm = float(self.gradient.norm())
        if norm < float("inf"):  # false for NaN too
            if norm > self.settings.clip:
                self.gradient *= self.settings.clip / norm
            for group in self._adamw.param_groups:
                group["lr"] = self.settings.learning_rate * share
            self._adamw.step()
            self._copy_back()
        self.gradient.zero_()
        return norm

    def _copy_back(self) -> None:
        if self._working is not self.master:
            self._working.copy_(self.master)

    def state(self) -> dict[str, torch.Tensor]:
        """All that goes on from step to step: master weights, both moments, the count of steps."""
        state: dict[str, torch.Tensor] = {"master": self.master}
        for i, part in enumerate(self._slices):
            for name, value in self._adamw.state.get(part, {}).items():
                state[f"{i}.{name}"] = value
        return state

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take up what `state` gave.

        Raises:
          ValueError: it is of a model of another size.
        """
        if state["master"].shape != self.master.shape:
            raise ValueError(f"the state has {len(state['master']):,} weights, the model {len(self.master):,}")
        self.master.copy_(state["master"])
        self._copy_back()
        for i, part in enumerate(self._slices):
            found = {key.split(".", 1)[1]: value for key, value in state.items() if key.startswith(f"{i}.")}
            if found:
                self._adamw.state[part] = {
                    name: value.to(self.master.device) if name != "step" else value.clone()
                    for name, value in found.items()
                }

    def master_weights(self, module: torch.nn.Module) -> dict[str, torch.Tensor]:
        """The module's state under its own names with trained tensors in float32, for saving."""
        masters = {id(p): values for p, values in zip(self.parameters, self._views(self.master), strict=True)}
        named = {name: masters.get(id(p), p.detach()) for name, p in module.named_parameters()}
        return {**module.state_dict(), **named}
