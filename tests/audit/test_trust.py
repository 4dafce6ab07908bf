import numpy as np
import pytest
from audit_worlds import honest, loving_length, run, turning

from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.audit.trust import END, START, Trust
from foolsgold.audit.unresolved import unresolved
from foolsgold.errors import UserError

KL = np.linspace(0, 5, 11) ** 2


def rising_and_falling():
    d = np.sqrt(KL)
    return Trust(run(d * (1 - 0.5 * np.log(np.maximum(d, 1e-9))), KL))


def test_stop_is_that_of_rl_where_there_is_a_run():
    trust = rising_and_falling()
    # The law peaks at d = e; of d = 0, 0.5, … that is 2.5, step 50.
    assert trust.stop.first <= 50 <= trust.stop.last
    assert list(trust.curves) == ["RL"]
    assert Trust(Evidence(turning())).stop.at == 8


def test_both_are_measured_where_both_are_known():
    evidence = run([0, 1, 2], [0, 1, 2])
    trust = Trust(Evidence(evidence.run[0].samples, evidence.run))
    assert list(trust.curves) == ["RL", "best of n"]
    assert list(trust.moments) == [START, END]
    assert len(trust.agreement_along_run) == 3


def test_the_end_of_a_run_is_ranked_among_the_start_too():
    start = loving_length(prompts=6, samples=4)
    end = Samples(start.proxy + 10, start.gold - 10, texts=start.texts)
    trust = Trust(Evidence(start, (Checkpoint(0, 0.0, start), Checkpoint(5, 1.0, end))))
    assert all(each.proxy_rank > 0.5 > each.gold_rank for each in trust.over_rated[END])
    assert len(trust.over_rated[END]) == 4
    assert trust.prompt(END, 2) == "prompt 3"


def test_novelty_is_asked_where_a_start_has_texts():
    start = loving_length(prompts=6, samples=4)
    features = {each.feature for each in Trust(Evidence(start)).slices.biases}
    assert "length in characters" in features
    assert "list marks" not in features  # none has any


def test_columns_are_asked_without_texts():
    samples = honest()
    with_column = Samples(samples.proxy, samples.gold, columns={"distance": samples.proxy - samples.gold})
    assert [each.feature for each in Trust(Evidence(with_column)).slices.found] == ["distance"]


def test_a_reward_that_never_differs_is_no_reward():
    ones, some = np.ones((3, 2)), np.arange(6.0).reshape(3, 2)
    with pytest.raises(UserError, match="proxy gives every sample the reward 1"):
        Trust(Evidence(Samples(ones, some)))
    with pytest.raises(UserError, match="gold gives every sample the reward 1"):
        Trust(Evidence(Samples(some, ones)))


def said(trust, words):
    return [each for each in unresolved(trust) if words in each]


def test_open_questions_of_a_start_alone():
    trust = Trust(Evidence(honest(prompts=5, samples=4)))
    assert said(trust, "rest on 5 prompts only")
    assert said(trust, "the evidence has no texts")
    assert said(trust, "it takes points at 3 different KL above 0, and there are 2")


def test_open_questions_of_a_run():
    evidence = run([0, 1, 2, 3], [-0.01, 1, 2, 3.0])
    trust = Trust(evidence)
    assert said(trust, "no samples of the policy before RL")
    assert said(trust, "RL: gold is highest at the last point measured, step 30")
    assert said(trust, "the estimate of KL is negative at step 0 (-0.01)")


def test_open_questions_of_labels():
    samples = honest(prompts=20)
    gold = samples.gold.copy()
    gold[:, ::2] = np.nan
    trust = Trust(Evidence(Samples(samples.proxy, gold)))
    assert said(trust, "Of 320 samples at the start 160 have gold")
    assert said(trust, "gaps came about by chance alone")


def test_one_prompt_and_one_sample():
    rng = np.random.default_rng(0)
    trust = Trust(Evidence(Samples(rng.normal(size=(1, 8)), rng.normal(size=(1, 8)))))
    assert said(trust, "There is one prompt at the start")
    assert said(trust, "one prompt does not tell the noise")
    trust = Trust(Evidence(Samples(rng.normal(size=(9, 1)), rng.normal(size=(9, 1)))))
    assert said(trust, "there is one sample a prompt")


def test_a_proxy_that_does_not_move_says_so():
    samples = honest()
    trust = Trust(Evidence(None, tuple(Checkpoint(k, float(k), samples) for k in range(3))))
    assert said(trust, "RL: the proxy did not clearly rise")


def test_gold_that_is_constant_at_one_moment():
    start = honest(prompts=10, samples=4)
    end = Samples(start.proxy + 1, np.zeros((10, 4)))
    trust = Trust(Evidence(start, (Checkpoint(0, 0.0, start), Checkpoint(1, 1.0, end))))
    assert said(trust, "Gold is 0 for every judged sample at the end of the run")


def test_a_proxy_that_may_be_chance_says_so():
    rng = np.random.default_rng(0)
    trust = Trust(Evidence(Samples(*rng.normal(size=(2, 12, 4)))))
    assert said(trust, "orders two samples at the start better than chance cannot be told")
    trust = Trust(Evidence(Samples(*rng.normal(size=(2, 12, 1)))))
    assert said(trust, "compare samples of different prompts")
