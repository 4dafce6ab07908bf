"""Losses of raters who differ, by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from foolsgold.objectives.group_preference import mean_spread_loss, mixture_loss, responsibilities


def test_mixture_loss_by_hand():
    leads = torch.tensor([[0.0, 2.0], [1.0, -1.0]])
    share = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    # log(1 + e^0) = 0.693147, log(1 + e^-2) = 0.126928, log(1 + e^-1) = 0.313262
    assert mixture_loss(leads, share).item() == pytest.approx(((0.693147 + 0.126928) / 2 + 0.313262) / 2, abs=1e-5)


def test_responsibilities_are_bayes():
    # Likelihoods 0.2 and 0.6 with prior shares 0.9 and 0.1: 0.18 to 0.06.
    found = responsibilities(np.log([[0.2, 0.6]]), np.array([0.9, 0.1]))
    assert found == pytest.approx(np.array([[0.75, 0.25]]))


def test_responsibilities_of_long_records_do_not_underflow():
    assert responsibilities(np.array([[-5000.0, -4000.0]]), np.array([0.5, 0.5])).tolist() == [[0.0, 1.0]]


def test_mean_and_spread_by_hand():
    loss = mean_spread_loss(*map(torch.tensor, ([1.0], [0.0], [3.0], [4.0])))
    assert loss.item() == pytest.approx(-math.log(norm.cdf(0.2)), abs=1e-6)


def test_a_hopeless_lead_is_finite():
    loss = mean_spread_loss(*map(torch.tensor, ([-100.0], [0.0], [1.0], [1.0])))
    assert math.isfinite(loss.item())
