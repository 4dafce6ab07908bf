"""Networks at playing speed: OpenVINO bf16 on the CPU, torch on CUDA and wherever OpenVINO is missing.

An OpenVINO model is built node by node from the weights (20 ms) rather than traced (1 s), because self-play swaps the
weights every few seconds.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from foolsgold.policies.go_network import GoNetwork, Trunk

Evaluate = Callable[[np.ndarray], list[np.ndarray]]
"""float32 `[B, P, N, N]` -> the network's outputs as float32 arrays, valid until the next call of the same thread."""


def go_evaluator(network: GoNetwork, batch: int, size: int, device: str = "auto") -> Evaluate:
    """An evaluator of positions: planes `[batch, P, N, N]` -> policy logits `[batch, A]`, values `[batch, 2]`."""
    return evaluator(network, _go_heads, 2, batch, size, device)


def evaluator(
    network: nn.Module, heads: Callable, outputs: int, batch: int, size: int, device: str = "auto"
) -> Evaluate:
    """A fast function of `network`'s first `outputs` outputs; each thread that calls it gets its own copy.

    Args:
      network: a module with `.trunk`, in any mode; its weights are copied now.
      heads: builds the outputs from the trunk's in OpenVINO, see `_go_heads`.
      batch: rows of every call.
      size: board size N.
      device: "auto", "openvino", "cpu" or "cuda".
    """
    device = resolve_device(device)
    if device == "openvino":
        return _OpenVino(network, heads, batch, size)
    return _Torch(network, outputs, device)


def resolve_device(device: str = "auto") -> str:
    """What "auto" means on this machine: "cuda", "openvino" or "cpu"."""
    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    with contextlib.suppress(ImportError):
        import openvino  # noqa: F401

        return "openvino"
    return "cpu"


def describe_device(device: str = "auto") -> str:
    """The engine and precision in words, for a run's configuration."""
    device = resolve_device(device)
    if device == "cuda":
        return f"torch bf16 on {torch.cuda.get_device_name()}"
    if device == "openvino":
        import openvino

        return f"OpenVINO {openvino.__version__.split('-')[0]} {_cpu_precision()}"
    return "torch float32 on the CPU"


class _Torch:
    def __init__(self, network: nn.Module, outputs: int, device: str):
        import copy

        self.device = device
        self.outputs = outputs
        self.dtype = torch.bfloat16 if device == "cuda" else torch.float32
        frozen = copy.deepcopy(network).eval().to(device, self.dtype)
        self.network = frozen.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, planes: np.ndarray) -> list[np.ndarray]:
        x = torch.from_numpy(planes).to(self.device, self.dtype)
        found = self.network(x.contiguous(memory_format=torch.channels_last))
        found = [found] if isinstance(found, torch.Tensor) else list(found)[: self.outputs]
        return [y.float().cpu().numpy() for y in found]


def _cpu_precision() -> str:
    import openvino

    supported = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in supported else "f32"


class _OpenVino:
    def __init__(self, network: nn.Module, heads: Callable, batch: int, size: int):
        import openvino
        from openvino import opset13 as ops

        planes = network.trunk.stem.in_channels  # type: ignore[union-attr]
        source = ops.parameter([batch, planes, size, size], np.float32)
        graph = _Graph(ops)
        trunk = graph.trunk(source, network.trunk)  # type: ignore[arg-type]
        self.model = openvino.Model(heads(graph, trunk, network), [source], "network")
        self.settings = {
            "INFERENCE_PRECISION_HINT": _cpu_precision(),
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            # With pinning on, two single-thread models land on the same core.
            "ENABLE_CPU_PINNING": False,
        }
        self.local = threading.local()

    def __call__(self, planes: np.ndarray) -> list[np.ndarray]:
        import openvino

        request = getattr(self.local, "request", None)
        if request is None:
            compiled = openvino.Core().compile_model(self.model, "CPU", self.settings)
            request = self.local.request = compiled.create_infer_request()
            self.local.outputs = len(compiled.outputs)
        request.set_input_tensor(openvino.Tensor(planes, shared_memory=True))
        request.infer()
        return [request.get_output_tensor(i).data for i in range(self.local.outputs)]


class _Graph:
    """The layers of `go_network` as OpenVINO nodes."""

    def __init__(self, ops):
        self.ops = ops

    def conv(self, x, layer: nn.Conv2d):
        pad = layer.padding[0]  # type: ignore[index]
        weight = self.ops.constant(layer.weight.detach().float().numpy())
        y = self.ops.convolution(x, weight, [1, 1], [pad, pad], [pad, pad], [1, 1])
        return self.ops.add(y, self.ops.constant(layer.bias.detach().float().numpy().reshape(1, -1, 1, 1)))  # type: ignore[union-attr]

    def linear(self, x, layer: nn.Linear):
        y = self.ops.matmul(x, self.ops.constant(layer.weight.detach().float().numpy()), False, True)
        return self.ops.add(y, self.ops.constant(layer.bias.detach().float().numpy()[None]))

    def pooled(self, x):
        over = self.ops.constant(np.array([2, 3], np.int64))
        return self.ops.concat([self.ops.reduce_mean(x, over, False), self.ops.reduce_max(x, over, False)], 1)

    def flatten(self, x):
        return self.ops.reshape(x, self.ops.constant(np.array([0, -1], np.int64)), True)

    def as_channels(self, x):
        return self.ops.unsqueeze(x, self.ops.constant(np.array([2, 3], np.int64)))

    def trunk(self, x, trunk: Trunk):
        relu = self.ops.relu
        x = relu(self.conv(x, trunk.stem))
        for block in trunk.blocks:
            y = relu(self.conv(x, block.first))  # type: ignore[arg-type]
            if block.pool is not None:
                y = relu(self.ops.add(y, self.as_channels(self.linear(self.pooled(y), block.pool))))  # type: ignore[arg-type]
            x = relu(self.ops.add(x, self.conv(y, block.second)))  # type: ignore[arg-type]
        return x


def _go_heads(graph: _Graph, x, network: GoNetwork) -> list:
    board = graph.pooled(x)
    points = graph.flatten(graph.conv(x, network.policy_point))
    policy = graph.ops.concat([points, graph.linear(board, network.policy_pass)], 1)
    value = graph.linear(graph.ops.relu(graph.linear(board, network.value_hidden)), network.value_out)
    return [policy, value]
