import numpy as np
import pytest
import torch

from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.training.go_learner import GoLearner, LearnerSettings, LossWeights
from foolsgold.training.replay import Positions


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def some_positions(count=8, size=5, seed=0):
    """Positions with random stones and random targets, nothing to generalise from."""
    rng = np.random.default_rng(seed)
    actions = size * size + 1
    return Positions(
        binary=rng.integers(0, 2, (count, 9, size, size)).astype(np.uint8),
        scalars=rng.normal(size=(count, 2)).astype(np.float32),
        policy=np.eye(actions, dtype=np.float16)[rng.integers(0, actions, count)],
        result=rng.choice([-1, 1], count).astype(np.float32),
        margin=rng.normal(0, 5, count).astype(np.float32),
        ownership=rng.choice([-1, 1], (count, size * size)).astype(np.int8),
    )


def new_learner(seed=0, **settings):
    torch.manual_seed(3)
    return GoLearner(GoNetwork(NetworkSize(2, 16)), LearnerSettings(**settings), LossWeights(), seed)


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_a_tiny_batch_is_learned_by_heart():
    learner = new_learner()
    positions = some_positions(4)
    first = learner.step(positions, 3e-3)
    for _ in range(350):
        last = learner.step(positions, 3e-3)
    assert float(last["policy"]) < 0.1 * float(first["policy"])
    assert float(last["result"]) < 0.1 * float(first["result"])
    assert float(last["ownership"]) < 0.5 * float(first["ownership"])


def test_the_given_network_is_left_alone():
    network = GoNetwork(NetworkSize(1, 8))
    before = weights(network)
    learner = GoLearner(network, LearnerSettings(), LossWeights(), 0)
    learner.step(some_positions(), 1e-2)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_the_average_moves_by_its_share():
    learner = new_learner(average=0.75)
    old = weights(learner.network)
    learner.step(some_positions(), 1e-2)
    for name, new in learner.network.state_dict().items():
        assert torch.allclose(learner.averaged.state_dict()[name], 0.75 * old[name] + 0.25 * new, atol=1e-6)


def test_the_learning_rate_is_the_one_of_the_step():
    learner = new_learner(weight_decay=0.0)
    old = weights(learner.network)
    learner.step(some_positions(), 0.0)
    assert all(torch.equal(old[name], tensor) for name, tensor in learner.network.state_dict().items())


@pytest.mark.parametrize("steps", [0, 3])
def test_a_restored_learner_takes_the_same_steps(steps):
    learner, positions = new_learner(), some_positions()
    for _ in range(steps):
        learner.step(positions, 1e-2)
    tensors, state = learner.tensors(), learner.state()
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}

    resumed = new_learner(seed=99)
    resumed.step(some_positions(seed=5), 1e-2)  # whatever it knew is forgotten
    if steps == 0:
        resumed = new_learner(seed=99)  # a learner that never stepped has no optimiser state to overwrite
    resumed.restore(tensors, state)
    for _ in range(4):
        learner.step(positions, 1e-2)
        resumed.step(positions, 1e-2)
    for name, expected in learner.tensors().items():
        assert torch.equal(resumed.tensors()[name], expected), name


def test_a_loss_that_is_not_finite_stops_training():
    learner = new_learner()
    positions = some_positions()
    positions.result[2] = np.nan
    before = weights(learner.network)
    with pytest.raises(FloatingPointError, match="learning rate"):
        learner.step(positions, 1e-2)
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.network.state_dict().items())
