"""Agreement of raters, as a person asks for it."""

import csv
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.store import open_store
from foolsgold.serving.labels_command import AgreementCommand, main

PANDALM = Path(__file__).parents[3] / "shared/data/raters/pandalm/testset-v1.json.gz"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def cells(shown: str) -> dict[str, list[str]]:
    """Rows of the printed tables by their first cell."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in shown.splitlines() if "│" in line]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.skipif(not PANDALM.exists(), reason="PandaLM's annotations are not here")
def test_pandalms_annotators_agree_as_published(tmp_path, capsys):
    with (tmp_path / "votes.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["worker", "task", "label"])
        for row in json.loads(gzip.decompress(PANDALM.read_bytes())):
            table.writerows([f"annotator{i}", row["idx"], row[f"annotator{i}"]] for i in (1, 2, 3))
    main(AgreementCommand(data=str(tmp_path / "votes.csv")))
    shown = capsys.readouterr().out
    assert "2,997 judgements by 3 raters; 999 items were judged by two or more" in shown
    assert cells(shown)["two raters say the same"][0] == "92.0%"
    assert cells(shown)["all raters of an item say the same"][0] == "88.0%"


def test_comparisons_agree_whichever_side_was_which(tmp_path, capsys):
    """Anna and Bob on four pairs: three alike, one of them seen with its sides swapped."""
    said = []
    for i, (anna, bob) in enumerate([("a", "a"), ("b", "b"), ("a", "b"), ("tie", "tie")]):
        said.append(Comparison(str(i), "A", "B", anna, "anna", NOON, "by hand"))
        sides = ("B", "A") if i == 0 else ("A", "B")
        said.append(Comparison(str(i), *sides, "b" if i == 0 else bob, "bob", NOON, "by hand"))
    with open_store(tmp_path / "s.sqlite") as store:
        store.add_many(said)
    main(AgreementCommand(data=str(tmp_path / "s.sqlite")))
    found = cells(capsys.readouterr().out)
    # Labels used: a 3, b 3, tie 2 of 8. Kappa's chance 22/64; alpha's disagreement 2 of 8 beside 42 of 56.
    assert found["Fleiss' kappa"][0] == f"{(3 / 4 - 22 / 64) / (1 - 22 / 64):.3f}"
    assert found["Krippendorff's alpha"][0] == f"{1 - (2 / 8) / (42 / 56):.3f}"
    assert found["anna"][:3] == ["bob", "4", "75.0%"]


def test_one_judge_an_item_is_no_agreement(tmp_path):
    (tmp_path / "votes.tsv").write_text("w1\t1\tyes\nw2\t2\tno\n")
    with pytest.raises(UserError, match="no item was judged by two"):
        main(AgreementCommand(data=str(tmp_path / "votes.tsv")))
