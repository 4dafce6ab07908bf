import numpy as np
import pytest

import foolsgold.audit
from foolsgold.audit.arrays import audit_arrays
from foolsgold.errors import UserError

RNG = np.random.default_rng(0)
PROXY = RNG.normal(size=(3, 10, 4))


def test_two_dimensions_are_the_best_of_n():
    trust = audit_arrays(PROXY[0], PROXY[0], prompts=[str(i) for i in range(10)])
    assert trust.best_of_n.at.tolist() == [1, 2, 4]
    assert trust.rl is None
    assert trust.prompt("at the start", 3) == "3"


def test_three_dimensions_are_a_run_that_begins_with_the_start():
    trust = audit_arrays(PROXY, PROXY, [0, 1, 2], steps=[0, 100, 200])
    assert trust.rl.at.tolist() == [0, 100, 200]
    assert trust.best_of_n.proxy.shape == (10, 3)
    assert audit_arrays(PROXY, PROXY, [0.1, 1, 2]).best_of_n is None


def test_chances_and_texts_go_with_their_checkpoint():
    gold = np.where(RNG.random(PROXY.shape) < 0.5, PROXY, np.nan)
    texts = [[[f"{k}{p}{n}" for n in range(4)] for p in range(10)] for k in range(3)]
    trust = audit_arrays(PROXY, gold, [0, 1, 2], texts=texts, chance=np.full(PROXY.shape, 0.5))
    assert trust.run[2].samples.texts[1][3] == "213"
    assert set(trust.run[1].samples.weight.ravel()) == {0, 2}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"proxy": PROXY, "gold": PROXY[0]}, "must all be"),
        ({"proxy": PROXY[0, 0], "gold": PROXY[0, 0]}, "must all be"),
        ({"proxy": PROXY, "gold": PROXY, "chance": PROXY[0]}, "must all be"),
        ({"proxy": PROXY[0], "gold": PROXY[0], "kl": [1.0]}, "kl and steps belong to a run"),
        ({"proxy": PROXY, "gold": PROXY}, "3 checkpoints needs kl"),
        ({"proxy": PROXY, "gold": PROXY, "kl": [0, 1]}, "3 checkpoints needs kl"),
        ({"proxy": PROXY, "gold": PROXY, "kl": [0, 1, 2], "steps": [1]}, "steps of the same length, not 1"),
    ],
)
def test_arrays_that_do_not_fit_together(given, said):
    with pytest.raises(UserError, match=said):
        audit_arrays(**given)


def test_the_package_gives_the_same_names():
    assert foolsgold.audit.audit_arrays is audit_arrays
    assert foolsgold.audit.Samples.__name__ == "Samples"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        foolsgold.audit.nothing  # noqa: B018
