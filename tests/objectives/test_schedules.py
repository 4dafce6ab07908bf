import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.objectives.schedules import constant, cosine, linear, warmup_stable_decay


def curve(schedule, steps, **options):
    return [schedule(step, steps, **options) for step in range(steps)]


def test_constant():
    assert curve(constant, 3) == [1, 1, 1]


def test_linear_worked_by_hand():
    expected = [0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    assert curve(linear, 10, warmup=0.2) == pytest.approx(expected)


def test_cosine_worked_by_hand():
    # cos 0, 60, 120 degrees = 1, 1/2, -1/2; (1 + cos) / 2 = 1, 3/4, 1/4, over a floor of 0.2.
    assert curve(cosine, 3, final=0.2) == pytest.approx([1, 0.8, 0.4])


def test_warmup_stable_decay_worked_by_hand():
    expected = [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]  # decay would reach 0 at step 10
    assert curve(warmup_stable_decay, 10, warmup=0.2, decay=0.4) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_after_warmup_equals_transformers(name):
    transformers = pytest.importorskip("transformers")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = transformers.get_scheduler(name, optimizer, num_warmup_steps=10, num_training_steps=100)
    schedule = {"linear": linear, "cosine": cosine}[name]
    for step in range(100):
        if step >= 10:  # theirs wastes the first step on a multiplier of 0
            assert schedule(step, 100, warmup=0.1) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("schedule", [constant, linear, cosine, warmup_stable_decay])
@given(steps=st.integers(1, 300), warmup=st.floats(0, 1), final=st.floats(0, 1))
def test_rises_then_falls_between_its_bounds(schedule, steps, warmup, final):
    options = {} if schedule is constant else {"warmup": warmup, "final": final}
    values = curve(schedule, steps, **options)
    top = values.index(max(values))
    assert all(0 < value <= 1 for value in values)
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
