import numpy as np

from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.audit.trust import Trust
from foolsgold.audit.unresolved import unresolved


def drawn(prompts, samples=4, seed=0):
    proxy, gold = np.random.default_rng(seed).normal(size=(2, prompts, samples))
    return Samples(proxy, gold)


def test_samples_of_one_prompt_are_not_said_to_be_of_different_ones():
    told = " ".join(unresolved(Trust(Evidence(drawn(1)))))
    assert "There is one prompt" in told
    assert "different prompts" not in told
    assert "different prompts" in " ".join(unresolved(Trust(Evidence(drawn(9, samples=1)))))


def test_a_run_whose_beginning_is_not_there_says_so():
    late = Trust(Evidence(None, (Checkpoint(10, 2.0, drawn(9)), Checkpoint(20, 5.0, drawn(9, seed=1)))))
    assert any(line.startswith("RL was not measured before step 10 (2 nats)") for line in unresolved(late))
    whole = Trust(Evidence(None, (Checkpoint(0, 0.0, drawn(9)), Checkpoint(20, 5.0, drawn(9, seed=1)))))
    assert not any("not measured before" in line for line in unresolved(whole))
