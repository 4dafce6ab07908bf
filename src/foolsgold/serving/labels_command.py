"""Settings of `foolsgold labels …`, one dataclass a command; nothing here loads what computes: --help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from foolsgold.errors import UserError

Format = Literal["comparisons", "trl-preference", "trl-unpaired", "argilla", "label-studio", "crowd", "wide", "sgf"]
Method = Literal["majority", "dawid-skene", "bradley-terry", "crowd-bt"]


@dataclass(frozen=True, kw_only=True)
class ImportCommand:
    """Put judgements that other programs gathered into a store.

    comparisons: rows with prompt, a, b and preferred (a, b, tie, both_bad). trl-preference: prompt, chosen, rejected.
    trl-unpaired: prompt, completion, label. argilla, label-studio: their JSON exports of rankings and choices. crowd:
    worker, item, label, with --items for the texts. wide: a row a pair and a column for each of --raters. sgf: a folder
    with NAME-a.sgf beside NAME-b.sgf, and a table pairs.jsonl or pairs.csv of the judgements, with pair, its NAME,
    preferred, and perhaps move, after which the boards were looked at. Pairs that are still to be judged are for
    foolsgold label --data.

    examples:
      foolsgold labels import labels.sqlite pairs.jsonl --rater anna
      foolsgold labels import labels.sqlite export.json --format label-studio
      foolsgold labels import labels.sqlite votes.tsv --items items.jsonl
      foolsgold labels import labels.sqlite testset.json --raters one two three --prompt instruction input \\
          --a response1 --b response2
      foolsgold labels import labels.sqlite games/
    """

    store: Positional[str]
    """File of the store (made where there is none), or the URL of a PostgreSQL database."""
    data: Positional[str]
    """File or folder to read: .jsonl, .json, .parquet, .csv, .tsv, a data set's folder, or a folder of .sgf."""
    format: Format | None = None
    """How the data are written; known from its columns where not given."""
    items: str | None = None
    """Table of the texts that a crowd's items stand for: item, prompt, a, b."""
    raters: tuple[str, ...] = ()
    """Columns of the raters, of format wide."""
    prompt: tuple[str, ...] = ()
    """Columns of the prompt, where they are not called prompt; several are put below each other."""
    a: str | None = None
    """Column of the first candidate, where it is not called as usual."""
    b: str | None = None
    """Column of the second candidate."""
    rater: str | None = None
    """Who judged, where the data do not say; the data's name where not given."""
    created: str | None = None
    """When it was judged, where the data do not say, such as 2026-03-01T12:00; the file's own time where not given."""

    def __post_init__(self) -> None:
        if (self.a is None) != (self.b is None):
            raise UserError("--a and --b name the columns of two candidates; give both")
        if self.raters and self.format not in (None, "wide"):
            raise UserError("--raters are columns of --format wide")
        if self.format == "wide" and not self.raters:
            raise UserError("--format wide needs --raters, the names of their columns")
        if self.items is not None and self.format not in (None, "crowd"):
            raise UserError("--items belong to --format crowd")


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write a store's comparisons as other programs read them, one row a judgement or, added up, one row a pair.

    What a format cannot hold is said, a line each. Attention checks, repeats, skips and what was taken back stay here.

    examples:
      foolsgold labels export labels.sqlite --out pairs.jsonl
      foolsgold train reward --model runs/sft-…/model --data pairs.jsonl
      foolsgold labels export labels.sqlite --out pairs.jsonl --aggregate majority
      foolsgold labels export labels.sqlite --out everything.parquet --format comparisons
      foolsgold labels export labels.sqlite --out tasks.json --format label-studio
    """

    store: Positional[str]
    """File of the store, or the URL of a PostgreSQL database."""
    out: str
    """File to write: .jsonl, .jsonl.gz, .json, .parquet, .csv or .tsv; a name without an ending is a folder, of format
    sgf or for the library datasets."""
    format: Format = "trl-preference"
    """How to write; comparisons keeps everything."""
    project: str | None = None
    """Only this labelling project's."""
    rater: str | None = None
    """Only this rater's."""
    ties: Literal["probability", "both", "drop"] = "probability"
    """Ties in trl-preference: a row with probability 0.5, which foolsgold train reads but TRL does not; a row each way;
    or none."""
    aggregate: Method | None = None
    """Add up the raters of each pair first: a row a pair, with the share or the probability that the chosen one is
    better; for trl-preference."""

    def __post_init__(self) -> None:
        if self.format == "wide":
            raise UserError("--format wide is only read; --format crowd also has a label for each rater")
        if self.aggregate is not None and self.format != "trl-preference":
            raise UserError("--aggregate makes rows of trl-preference; leave out --format")


@dataclass(frozen=True, kw_only=True)
class AggregateCommand:
    """Add up raters who differ: what each item is taken for, how sure that is, and how reliable each rater.

    Of a store the items are pairs and the labels a, b, tie and both_bad; of a crowd's file whatever it holds. Without a
    model, by majority; dawid-skene estimates each rater's confusions (Dawid and Skene 1979); bradley-terry gives every
    candidate a strength, crowd-bt every rater a reliability too (Chen et al. 2013).

    examples:
      foolsgold labels aggregate labels.sqlite
      foolsgold labels aggregate labels.sqlite --method crowd-bt --out strengths.jsonl
      foolsgold labels aggregate votes.tsv --method dawid-skene --gold truth.tsv
    """

    data: Positional[str]
    """Store, or a table with worker, item and label (.tsv, .csv, .jsonl, .parquet)."""
    method: Method = "majority"
    """How to add up."""
    gold: str | None = None
    """Table of true labels, item and label, to measure against."""
    project: str | None = None
    """Only this labelling project's, of a store."""
    out: str | None = None
    """File to write the results to, an item or a candidate a row; a table of raters is printed either way."""


@dataclass(frozen=True, kw_only=True)
class AgreementCommand:
    """How far raters agree: Krippendorff's alpha and Fleiss' kappa with intervals, and how often two say the same.

    examples:
      foolsgold labels agreement labels.sqlite
      foolsgold labels agreement votes.tsv
    """

    data: Positional[str]
    """Store, or a table with worker, item and label (.tsv, .csv, .jsonl, .parquet)."""
    project: str | None = None
    """Only this labelling project's, of a store."""
    seed: int = 0
    """Of the bootstrap."""


@dataclass(frozen=True, kw_only=True)
class PrioritiseCommand:
    """Let a labelling project hand out next the pairs from whose judgement reward models would learn most.

    The models are fitted to the same comparisons from other seeds; where they differ there is something to learn. Fit
    them anew and repeat as judgements come in.

    examples:
      foolsgold labels prioritise labels.sqlite --project poems --reward rm-0/model rm-1/model rm-2/model
      foolsgold labels prioritise labels.sqlite --project poems --reward rm-0/model rm-1/model --strategy disagreement
    """

    store: Positional[str]
    """File of the store, or the URL of a PostgreSQL database."""
    project: str
    """The labelling project."""
    reward: tuple[str, ...]
    """Two or more reward models: folders, names on the hub, or functions as in rewards.py:brevity."""
    strategy: Literal["information", "disagreement", "uncertainty", "uniform"] = "information"
    """What a pair is chosen for: what its judgement is expected to tell, the models' spread, or how even it looks."""
    batch: int = 100
    """Pairs that come first: about as many as are judged until the next time."""
    seed: int = 0
    """Tells pairs of equal merit apart."""

    def __post_init__(self) -> None:
        if len(self.reward) < 2:
            raise UserError("--reward needs two models or more: one alone never disagrees with itself")
        if self.batch < 1:
            raise UserError(f"--batch {self.batch}: give at least 1")


LabelsCommand = ImportCommand | ExportCommand | AggregateCommand | AgreementCommand | PrioritiseCommand

COMMANDS: dict[str, type[LabelsCommand]] = {
    "import": ImportCommand,
    "export": ExportCommand,
    "aggregate": AggregateCommand,
    "agreement": AgreementCommand,
    "prioritise": PrioritiseCommand,
}

HELP = """usage: foolsgold labels COMMAND [settings]

commands:
  import      judgements of other programs into a store: TRL, Argilla, Label Studio, crowds, tables, SGF
  export      a store's comparisons for other programs, and for foolsgold train reward
  aggregate   raters who differ added up: majority, Dawid-Skene, Bradley-Terry, Crowd-BT
  agreement   how far raters agree
  prioritise  the pairs that raters get next: those that teach reward models most

Settings: foolsgold labels COMMAND --help
"""


def main(command: LabelsCommand) -> None:
    """Carry out one of `COMMANDS`.

    Raises:
      UserError: a file or store is missing, broken or does not fit, or nothing can be written.
    """
    match command:
        case ImportCommand():
            from foolsgold.serving.labels_exchange import import_data

            import_data(command)
        case ExportCommand():
            from foolsgold.serving.labels_exchange import export_data

            export_data(command)
        case AggregateCommand():
            from foolsgold.serving.labels_aggregate import aggregate

            aggregate(command)
        case AgreementCommand():
            from foolsgold.serving.labels_agreement import agreement

            agreement(command)
        case PrioritiseCommand():
            from foolsgold.serving.labels_prioritise import prioritise_project

            prioritise_project(command)
