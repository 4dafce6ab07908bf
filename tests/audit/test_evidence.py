import numpy as np
import pytest

from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.errors import UserError

TWO = np.array([[1.0, 2.0], [3.0, 4.0]])
GAPS = np.array([[1.0, np.nan], [3.0, 4.0]])


def test_gold_that_is_known_is_taken_as_it_is():
    assert Samples(TWO, TWO).gold_estimate is TWO


def test_weights_make_up_for_who_was_not_asked():
    assert Samples(TWO, GAPS, np.full((2, 2), 0.5)).weight.tolist() == [[2, 0], [2, 2]]
    assert Samples(TWO, GAPS).weight.tolist() == [[1, 0], [1, 1]]


def test_gold_of_gaps_has_the_right_mean_on_average():
    rng = np.random.default_rng(0)
    proxy = rng.normal(size=(10, 6))
    gold = 0.5 * proxy + rng.normal(size=(10, 6))
    chance = np.where(proxy > 0, 0.8, 0.3)
    found = []
    for _ in range(2000):
        asked = rng.random((10, 6)) < chance
        found.append(Samples(proxy, np.where(asked, gold, np.nan), chance).gold_estimate.mean())
    assert np.mean(found) == pytest.approx(gold.mean(), abs=4 * np.std(found) / np.sqrt(2000))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((TWO, TWO[:1]), "must both be"),
        ((np.array([[np.nan, 1.0]]), TWO[:1]), "1 of 2 proxy rewards"),
        ((TWO, np.full((2, 2), np.inf)), "infinite"),
        ((TWO, np.full((2, 2), np.nan)), "no sample has a gold reward"),
        ((TWO, TWO, np.zeros((2, 2))), "above 0 and at most 1"),
        ((TWO, GAPS, np.ones((2, 2))), "1 samples have no gold though"),
        ((TWO, TWO, None, [["a", "b"]]), "texts must be one a sample"),
        ((TWO, TWO, None, [["a", "b"], ["c"]]), "texts must be one a sample"),
        ((TWO, TWO, None, None, {"language": TWO[0]}), "column 'language'"),
    ],
)
def test_samples_that_cannot_be(parts, said):
    with pytest.raises(UserError, match=said):
        Samples(*parts)


def test_evidence_that_cannot_be():
    samples = Samples(TWO, TWO)
    with pytest.raises(UserError, match="nothing to audit"):
        Evidence(None)
    with pytest.raises(UserError, match="in the order of their steps"):
        Evidence(None, (Checkpoint(1, 0.0, samples), Checkpoint(1, 1.0, samples)))
    with pytest.raises(UserError, match="same prompts"):
        Evidence(None, (Checkpoint(0, 0.0, samples), Checkpoint(1, 1.0, Samples(TWO[:1], TWO[:1]))))
    with pytest.raises(UserError, match="the KL at step 3 is nan"):
        Evidence(None, (Checkpoint(3, float("nan"), samples),))
