from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from foolsgold.environments.go.features import PLANES
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.policies.inference import describe_device, go_evaluator, resolve_device

BF16 = 2**-8
"""Relative rounding error of bf16."""


def awake_network(size: NetworkSize) -> GoNetwork:
    """A network whose branches and values, zero at birth, say something."""
    torch.manual_seed(0)
    network = GoNetwork(size)
    for block in network.trunk.blocks:
        torch.nn.init.normal_(block.second.weight, std=0.5 / (3 * size.channels**0.5))
        torch.nn.init.normal_(block.second.bias, std=0.1)
    torch.nn.init.normal_(network.value_out.weight, std=0.2)
    return network


def some_planes(batch: int, board: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (batch, PLANES, board, board)).astype(np.float32)


def truth(network: GoNetwork, planes: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        policy, value, _ = network.double()(torch.from_numpy(planes).double())
    network.float()
    return [policy.numpy(), value.numpy()]


def assert_close(found, expected, relative):
    """Every output within `relative` of the spread of its kind."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == np.float32
        assert np.abs(a - b).max() <= relative * np.abs(b).max()


@pytest.mark.parametrize("board", [5, 7, 9])
@pytest.mark.parametrize("size", [NetworkSize(1, 8), NetworkSize(2, 16), NetworkSize(5, 32)])
def test_openvino_equals_torch(board, size):
    pytest.importorskip("openvino")
    network, planes = awake_network(size), some_planes(6, board)
    expected = truth(network, planes)
    assert np.ptp(expected[1]) > 0
    assert_close(go_evaluator(network, 6, board, "openvino")(planes), expected, 5 * BF16)


@pytest.mark.parametrize("board", [5, 9])
def test_torch_on_the_cpu_equals_the_network(board):
    network, planes = awake_network(NetworkSize(3, 16)), some_planes(4, board)
    assert_close(go_evaluator(network, 4, board, "cpu")(planes), truth(network, planes), 1e-5)


@pytest.mark.parametrize("device", ["openvino", "cpu"])
def test_weights_are_those_of_the_moment_of_building(device):
    if device == "openvino":
        pytest.importorskip("openvino")
    network, planes = awake_network(NetworkSize(1, 8)), some_planes(2, 5)
    evaluate = go_evaluator(network, 2, 5, device)
    before = truth(network, planes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert_close(evaluate(planes), before, 5 * BF16)


@pytest.mark.parametrize("device", ["openvino", "cpu"])
def test_two_threads_get_what_one_gets(device):
    if device == "openvino":
        pytest.importorskip("openvino")
    network = awake_network(NetworkSize(2, 16))
    evaluate = go_evaluator(network, 4, 5, device)
    batches = [some_planes(4, 5, seed) for seed in range(2)]

    def repeatedly(planes):
        return [[y.copy() for y in evaluate(planes)] for _ in range(50)]

    alone = [[y.copy() for y in evaluate(planes)] for planes in batches]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(repeatedly, batches))
    for expected, answers in zip(alone, together, strict=True):
        for answer in answers:
            for a, b in zip(answer, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # mixed-up rows would differ by far more


@pytest.mark.parametrize("device", ["cpu", "openvino", "cuda"])
def test_a_named_device_is_itself(device):
    assert resolve_device(device) == device


def test_auto_prefers_cuda_then_openvino_then_torch(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device() == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)  # importing it now fails
    assert resolve_device("auto") == "cpu"


def test_auto_is_openvino_where_installed(monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device() == "openvino"


def test_the_description_names_engine_and_precision():
    assert describe_device("cpu") == "torch float32 on the CPU"


def test_the_description_of_openvino_names_its_precision():
    pytest.importorskip("openvino")
    assert describe_device("openvino").split()[-1] in {"bf16", "f32"}
