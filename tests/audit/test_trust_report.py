from html.parser import HTMLParser

import numpy as np
import pytest
from audit_worlds import honest, loving_length, run, turning

from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.audit.report import Prose, write_report
from foolsgold.audit.trust import Trust
from foolsgold.audit.trust_report import judge, sections

KL = np.linspace(0, 5, 11) ** 2
D = np.sqrt(KL)
HUMP = D * (1 - 0.5 * np.log(np.maximum(D, 1e-9)))


def figures(verdict):
    return {figure.name: figure for figure in verdict.figures}


def test_an_honest_proxy_holds():
    verdict = judge(Trust(Evidence(honest())))
    assert verdict.answer == "holds"
    assert verdict.sentence.startswith("With the best of n gold rises by ")
    assert figures(verdict)["best of n: gold, end less start"].low > 0


def test_a_proxy_that_turns_but_stays_above_the_start_depends():
    verdict = judge(Trust(run(HUMP, KL)))
    assert verdict.answer == "depends"
    assert "stop at the peak" in verdict.sentence
    stop = figures(verdict)["RL: step to stop at"]
    assert stop.low <= 50 <= stop.high
    assert (
        figures(verdict)["RL: KL at the law's peak"].low < np.e**2 < figures(verdict)["RL: KL at the law's peak"].high
    )


def test_a_proxy_that_ends_below_the_start_fails():
    verdict = judge(Trust(run(HUMP - 0.4 * D, KL)))
    assert verdict.answer == "fails"
    assert "gold is below the start" in verdict.sentence


def test_gold_that_falls_from_the_beginning_fails():
    verdict = judge(Trust(run(-D, KL)))
    assert verdict.answer == "fails"
    assert verdict.sentence.endswith("do not optimise this proxy.")


def test_noise_is_no_answer():
    verdict = judge(Trust(run(np.zeros(4), [0, 1, 2, 3], prompts=10, noise=3)))
    assert verdict.answer == "depends"
    assert "is not clear" in verdict.sentence


def test_a_proxy_that_did_not_rise_is_no_answer():
    samples = honest()
    points = tuple(Checkpoint(k, float(k), Samples(samples.proxy, samples.gold - k), kl_error=0.0) for k in range(3))
    verdict = judge(Trust(Evidence(None, points)))
    assert verdict.answer == "depends"
    assert "tells nothing of more" in verdict.sentence


def test_rl_that_fails_is_not_saved_by_best_of_n():
    falling = run(-D, KL)
    verdict = judge(Trust(Evidence(honest(), falling.run)))
    assert verdict.answer == "fails"
    assert "With the best of n gold rises" in verdict.sentence


def test_one_checkpoint_without_a_start_gives_no_answer():
    verdict = judge(Trust(Evidence(None, (Checkpoint(0, 0.0, honest()),))))
    assert verdict.answer == "depends"
    assert "Neither RL nor best of n was measured" in verdict.sentence


class Words(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.words = []
        self.feed(html)

    def handle_data(self, data):
        self.words.append(data)


def everything(hostile="<script>alert(1)</script>"):
    """A run whose policy writes ever longer texts for a proxy that loves length, and a start for the best of n."""
    points = []
    for k, nats in enumerate(KL):
        samples = loving_length(prompts=24, samples=8, seed=2 * k, texts_seed=k)
        gold = samples.gold + HUMP[k]
        points.append(Checkpoint(20 * k, nats, Samples(samples.proxy + D[k], gold, texts=samples.texts)))
    start = turning(prompts=24, samples=64)
    texts = [[f"{hostile} {p} {n}" for n in range(64)] for p in range(24)]
    start = Samples(start.proxy, start.gold, texts=texts)
    return Trust(Evidence(start, tuple(points), [f"prompt {hostile} {p}" for p in range(24)], "rm", "critic"))


def test_the_report_has_all_parts_and_no_text_of_a_model_becomes_code(tmp_path):
    trust = everything()
    body = sections(trust, [Prose("Something more", ["of others"])])
    titles = [section.title for section in body]
    assert titles[:5] == [
        "What was measured",
        "Gold beside proxy, step by step",
        "Best of n",
        "Gold against KL, with the laws of over-optimization",
        "The laws' coefficients",
    ]
    assert titles[-2:] == ["Something more", "What could not be resolved"]
    assert "Most over-rated at the end of the run" in titles
    page = write_report(tmp_path / "report.html", judge(trust), body, {"seed": 0}).read_text()
    assert "<script>alert" not in page
    words = " ".join(Words(page).words)
    assert "at the end of the run the proxy over-rates length in characters" in words


def test_a_law_that_does_not_fit_is_said_and_not_drawn():
    gold = np.where(np.arange(11) % 2, 0.5, -0.5) * (np.arange(11) > 0)
    trust = Trust(run(gold, KL))
    by_title = {section.title: section for section in sections(trust)}
    plot = by_title["Gold against KL, with the laws of over-optimization"]
    assert ">law<" not in plot.svg
    assert "RL: the law does not fit (R² " in plot.shows
    assert any("does not fit" in told for told in by_title["What could not be resolved"].paragraphs)
    assert ">law<" in {each.title: each for each in sections(Trust(run(HUMP, KL)))}[plot.title].svg


@pytest.mark.parametrize("shape", [(1, 6), (2, 1), (9, 1), (3, 2)])
def test_small_evidence_still_makes_a_report(tmp_path, shape):
    rng = np.random.default_rng(0)
    samples = [Samples(rng.normal(size=shape), rng.normal(size=shape), texts=[["a b c"] * shape[1]] * shape[0])] * 2
    trust = Trust(Evidence(samples[0], (Checkpoint(0, 0.0, samples[0]), Checkpoint(1, 0.5, samples[1]))))
    assert write_report(tmp_path / "report.html", judge(trust), sections(trust), {}).exists()


def test_gaps_in_gold_make_a_report(tmp_path):
    whole = loving_length(prompts=30, samples=8)
    rng = np.random.default_rng(1)
    gold = np.where(rng.random(whole.gold.shape) < 0.3, whole.gold, np.nan)
    trust = Trust(Evidence(Samples(whole.proxy, gold, np.full(gold.shape, 0.3), whole.texts)))
    assert write_report(tmp_path / "report.html", judge(trust), sections(trust), {}).exists()
