"""Gold and proxy lead; arms share a chart; held-out stands beside training."""

from foolsgold.serving.runs_charts import Line, charts, glimpse


def test_arms_of_a_study_share_charts() -> None:
    names = ["main/kl", "main/gold", "main/proxy", "kl-0.1/kl", "kl-0.1/gold", "kl-0.1/proxy"]
    gold, proxy, kl = charts("overoptimization", names)
    assert (gold.metric, gold.role, gold.leads) == ("gold", "gold", True)
    assert (proxy.metric, proxy.role, proxy.leads) == ("proxy", "proxy", True)
    assert (kl.metric, kl.role, kl.leads) == ("kl", "", False)
    assert gold.lines == (Line("main", "main/gold", "main/kl"), Line("kl-0.1", "kl-0.1/gold", "kl-0.1/kl"))
    assert kl.lines[0].kl is None


def test_held_out_stands_beside_training() -> None:
    names = ["held_out_reward", "held_out_reward/rm", "reward", "reward/rm", "reward/gold", "gold", "kl", "loss"]
    names += ["seconds/score"]
    found = {chart.metric: chart for chart in charts("rl", names)}
    assert [(line.label, line.series) for line in found["gold"].lines] == [
        ("training", "reward/gold"),
        ("held out", "gold"),
    ]
    assert [line.label for line in found["reward"].lines] == ["held out", "training"]
    assert [chart.metric for chart in charts("rl", names) if chart.leads] == ["gold", "reward"]
    assert found["reward"].lines[0].kl == "kl"
    assert "seconds/score" in found


def test_something_leads_where_there_is_neither_gold_nor_proxy() -> None:
    assert [chart.metric for chart in charts("sft", ["held_out_loss", "loss", "tokens"]) if chart.leads] == ["loss"]
    assert [chart.metric for chart in charts("new", ["a/x", "a/y", "a/z"]) if chart.leads] == ["x", "y"]
    both = charts("alphago", ["rl/games", "rl/referee_margin", "rl/referee_agrees_with_score"])
    assert [chart.metric for chart in both if chart.leads] == ["referee_margin", "referee_agrees_with_score"]
    assert charts("new", []) == []


def test_every_series_is_on_one_chart() -> None:
    names = ["a/gold", "b/outcome/passed", "alone", "kl", "a/kl"]
    shown = [line.series for chart in charts("real_rl", names) for line in chart.lines]
    assert sorted(shown) == sorted(names)


def test_a_glimpse_is_what_leads() -> None:
    row = {"main/kl": 3.0, "main/gold": 0.4, "main/proxy": 1.5}
    assert glimpse("overoptimization", row) == [("main gold", 0.4), ("main proxy", 1.5)]
