import pytest
import tyro

from foolsgold.errors import UserError
from foolsgold.studies.annotations import AnnotationsConfig
from foolsgold.studies.coding import CodingConfig
from foolsgold.studies.minutes_dial import MinutesDial
from foolsgold.studies.proofs import ProofsConfig
from foolsgold.studies.real_rl import RealRLConfig

STUDIES = {RealRLConfig: "1", CodingConfig: "1", ProofsConfig: "1", AnnotationsConfig: "0.5"}
"""And the fewest minutes that each may be given."""


@pytest.mark.parametrize("study", STUDIES)
def test_settings_out_of_range_are_refused(study):
    with pytest.raises(UserError, match="--seed -1 is negative; give 0 or more"):
        study(seed=-1)
    for minutes in (0, 20_000):
        with pytest.raises(UserError, match=f"--minutes {minutes} is out of range; give {STUDIES[study]} to 10000"):
            study(minutes=minutes)
    assert study(minutes=float(STUDIES[study])).seed == 0


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_says_what_its_minutes_are(study, capsys):
    assert issubclass(study, MinutesDial)
    with pytest.raises(SystemExit):
        tyro.cli(study, args=["--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "What the run may take on two quiet cores" in said
    assert f"(default: {study.minutes})" in said
