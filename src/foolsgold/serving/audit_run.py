"""One run of `foolsgold audit`: evidence gathered, the report, the verdict and all samples written."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from foolsgold.audit.alarm_advice import advice, logged_readings
from foolsgold.audit.evidence import Evidence, Samples
from foolsgold.audit.exploit_report import text_sections
from foolsgold.audit.exploits import search
from foolsgold.audit.report import Prose, Section, write_report
from foolsgold.audit.trust import Trust
from foolsgold.audit.trust_report import judge, sections
from foolsgold.audit.verdict import Verdict, table
from foolsgold.errors import UserError
from foolsgold.rewards.protocol import Reward
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.serving.audit_command import AuditCommand
from foolsgold.serving.audit_sources import Policies, Source, source_of
from foolsgold.serving.reward_specs import absolute_spec
from foolsgold.serving.training_run import absolute, shell
from foolsgold.studies.progress import Stages
from foolsgold.training.dataset_files import write_jsonl
from foolsgold.training.run_folder import RunFolder

AUDIT = "audit"
VERSION = 1
SCORERS_OWN = ("trainer_state", "log_extra", "log_metric")
"""What every reward gets beside columns."""
POLL_SECONDS = 10.0
"""Between looks at a run that is followed."""


def main(command: AuditCommand) -> None:
    """Audit, and say what came out and where the report is.

    Raises:
      UserError: something is missing, cannot be had or does not fit, or a reward failed.
    """
    console = Console()
    command, planned = _resumed(command)
    source = source_of(command, planned)
    if command.exploits and not (isinstance(source, Policies) and source.gold):
        raise UserError("--exploits asks gold about new texts; it needs a policy and a gold that can be called")
    with _folder(command, source) as folder:
        console.print(f"[bold]audit[/bold]  run folder {folder.path}", highlight=False, soft_wrap=True)
        with Stages(console) as stages:
            verdict = _followed(command, source, folder, stages)
        if verdict is None:
            console.print(_to_judge(command, folder.path), highlight=False, soft_wrap=True, markup=False)
            return
        console.print(table(verdict))
        for line in source.warnings:
            console.print(f"note: {line}", highlight=False, soft_wrap=True, markup=False)
        console.print(f"report: {folder.path / 'report.html'}", highlight=False, soft_wrap=True, markup=False)


def _resumed(command: AuditCommand) -> tuple[AuditCommand, int | None]:
    """The settings to go by, places in them absolute, and the checkpoints that an interrupted audit counted on.

    Raises:
      UserError: it is no audit's folder.
    """
    if command.resume is None:
        places = {name: getattr(command, name) for name in ("run", "policy", "prompts", "table")}
        found: dict[str, Any] = {name: absolute(place) for name, place in places.items() if place}
        return replace(command, **found, gold=_absolute_gold(command), proxy=_absolute(command.proxy)), None
    with RunFolder.open(command.resume, AUDIT, VERSION) as folder:
        stored = dict(folder.config)
    planned = stored.pop("checkpoints")
    if stored.keys() - {field.name for field in fields(command)}:
        raise UserError(f"{command.resume} was made by another version of foolsgold; start a new audit")
    gold = _absolute_gold(command) or stored["gold"]
    return AuditCommand(**{**stored, "gold": gold, "watch": command.watch, "resume": command.resume}), planned


def _absolute_gold(command: AuditCommand) -> str | None:
    if command.gold is not None and command.judged_by_people:
        return str(Path(command.gold).resolve())  # also of a file that is not there yet
    return _absolute(command.gold)


def _absolute(spec: str | None) -> str | None:
    return None if spec is None else absolute_spec(spec)


def _folder(command: AuditCommand, source: Source) -> RunFolder:
    if command.resume is not None:
        return RunFolder.open(command.resume, AUDIT, VERSION)
    stored = {name: value for name, value in asdict(command).items() if name not in ("resume", "watch")}
    planned = source.planned if isinstance(source, Policies) else None
    return RunFolder.create(command.out, AUDIT, {**stored, "checkpoints": planned}, VERSION)


def _followed(command: AuditCommand, source: Source, folder: RunFolder, stages: Stages) -> Verdict | None:
    """Measure and write, again and again where a run is followed; None where people are to judge first."""
    verdict, known = None, -1
    while True:
        ended = source.ended  # asked first, so that what came last is measured as well
        evidence = source.measure(folder.path, stages)
        if evidence is None:
            return None
        last = ended or not command.watch
        if last or len(evidence.run) > known:
            known = len(evidence.run)
            verdict = _written(command, source, evidence, folder, stages, last)
            if known:
                stages.console.print(f"{known} checkpoints measured", highlight=False)
        if last:
            return verdict
        time.sleep(POLL_SECONDS)


def _written(
    command: AuditCommand, source: Source, evidence: Evidence, folder: RunFolder, stages: Stages, last: bool
) -> Verdict:
    """Work out what the evidence says and leave it in the folder; exploits are searched for the last time only."""
    write_jsonl(folder.path / "samples.jsonl", rows_of(evidence))
    extra: list[Section] = []
    if command.exploits and last and isinstance(source, Policies):
        extra += _exploits(source, evidence, command.seed, stages)
    trust = Trust(evidence, command.seed)
    extra += _alarm(source, trust)
    if source.warnings:
        extra.append(Prose("What could not be measured", source.warnings))
    with stages.stage("what it says", None):
        verdict = judge(trust)
        body = sections(trust, extra)
    verdict.write(folder.path / "verdict.json")
    again = shlex.join(["foolsgold", *folder.record["command"][1:]])
    write_report(folder.path / "report.html", verdict, body, folder.record, again)
    return verdict


def _alarm(source: Source, trust: Trust) -> list[Section]:
    """What the run's own alarm says of the next run's threshold."""
    if not isinstance(source, Policies) or source.run is None or trust.rl is None:
        return []
    read = logged_readings(source.run / "metrics.jsonl")
    return [] if read is None else [Prose("An alarm for the next run", advice(trust.rl, read))]


def _exploits(source: Policies, evidence: Evidence, seed: int, stages: Stages) -> list[Section]:
    start, gold = evidence.start, source.gold
    assert start is not None  # a policy is always drawn from
    assert start.texts is not None
    assert gold is not None
    with stages.stage("search for exploits", None) as tick:
        hunt = search(
            _as_one(source.proxy),
            _as_one(gold),
            source.prompts,
            start.texts,
            seed=seed,
            known_gold=start.gold,
            report=tick,
        )
    return text_sections(hunt)


def _as_one(rewards: Sequence[WeightedReward]) -> Reward:
    """A weighted sum as one reward; a single one as it is, since a reward model is searched by its gradient."""
    if [each.weight for each in rewards] == [1.0]:
        return rewards[0].reward
    scorer = Scorer(rewards, None)

    def total(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
        own = {name: column for name, column in columns.items() if name not in SCORERS_OWN}
        return scorer.score(prompts, completions, **own).total.tolist()

    return cast(Reward, total)


def rows_of(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """The evidence as `evidence_tables.read_table` reads it, a row a sample; prompts that have no text get a number."""
    if evidence.start is not None:
        yield from _rows(evidence.start, evidence.prompts, "best of n ", {})
    for each in evidence.run:
        yield from _rows(each.samples, evidence.prompts, "run ", {"step": each.step, "kl": each.kl})


def _rows(
    samples: Samples, prompts: Sequence[str] | None, whose: str, of_all: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """`whose` tells prompts of the start and of the run apart where they are not known to be the same."""
    count = len(samples.proxy)
    known = prompts is not None and len(prompts) == count
    for p in range(count):
        name = str(p + 1) if known else f"{whose}{p + 1}"
        prompt = prompts[p] if known and prompts is not None else f"prompt {p + 1}"
        for n in range(samples.proxy.shape[1]):
            row = {**of_all, "prompt_id": name, "prompt": prompt, "proxy": float(samples.proxy[p, n])}
            row["gold"] = float(samples.gold[p, n]) if samples.labelled[p, n] else None
            if samples.chance is not None:
                row["chance"] = float(samples.chance[p, n])
            if samples.texts is not None:
                row["completion"] = samples.texts[p][n]
            yield row


def _to_judge(command: AuditCommand, folder: Path) -> str:
    requests = folder / "to-judge.jsonl"
    again = shell("foolsgold", "audit", "--resume", folder, "--gold", command.gold or requests)
    return (
        f"to judge: {requests}\nGive each completion its gold, a number, in place of null, and save the file as "
        f"{command.gold}; then:\n{again}\n"
        f"or give it in the browser: {shell('foolsgold', 'serve', '--runs', folder.parent)}"
    )
