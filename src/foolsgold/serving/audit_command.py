"""Settings of `foolsgold audit`; nothing here loads torch, so that --help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from foolsgold.errors import UserError

LABELS = (".jsonl", ".jsonl.gz", ".csv", ".parquet")
"""How files of people's judgements end."""


@dataclass(frozen=True, kw_only=True)
class AuditCommand:
    """Measure how far a proxy reward can be trusted: gold beside proxy for best of n and along RL.

    Of a run of `foolsgold train rl` or `expert`, finished or not, the starting model and the snapshots are drawn from;
    the proxy is what it was trained on, gold the reward that it logged under the name gold. A policy that was not
    trained on the proxy is audited for best of n. Evidence may also be a table, one row a sample, with the columns
    prompt, proxy and gold, and step and kl of a run.

    examples:
      foolsgold audit runs/rl-…
      foolsgold audit runs/rl-… --gold tests.py:passes --watch
      foolsgold audit runs/rl-… --gold labels.jsonl --budget 400
      foolsgold audit --policy runs/sft-…/model --proxy runs/reward-…/model --gold judge.py:gold \\
          --prompts prompts.jsonl --budget 500
      foolsgold audit --table samples.csv
      foolsgold audit runs/overoptimization-…
    """

    run: Positional[str | None] = None
    """Run folder of foolsgold train rl or expert, or of the studies overoptimization and alphago."""
    policy: str | None = None
    """Folder of a model, or its name on the Hugging Face hub, where there is no run."""
    proxy: str | None = None
    """Reward that stands in for gold: a reward model's folder or name, or file.py:function."""
    gold: str | None = None
    """What truly counts: a function in file.py:function, another reward model, or a file of people's judgements
    (.jsonl). Where the file is not there yet, the audit writes what is to be judged."""
    prompts: str | None = None
    """Data set with a column `prompt`; rewards get all its other columns. The run's own where there is one."""
    table: str | None = None
    """File of samples with their proxy and gold: .csv, .jsonl, .json or .parquet."""
    samples: int = 64
    """Completions of each prompt before RL; best of n is measured up to this n."""
    run_samples: int = 4
    """Completions of each prompt at each snapshot."""
    max_prompts: int = 128
    """At most so many prompts, drawn at random."""
    budget: int | None = None
    """Gold labels to spend, half on the start and half on the run; all completions are judged where not given."""
    max_new_tokens: int | None = None
    """Tokens of a completion; those of the run, else 128, where not given."""
    exploits: bool = False
    """Also search for texts that only the proxy likes; asks gold about up to 2,000 texts more."""
    watch: bool = False
    """Follow a run until it ends, and write the report anew with every snapshot."""
    seed: int = 0
    """Seed of everything that is random."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes the GPU where there is one."""
    out: str = "runs"
    """Folder in which the run folder of the audit is made."""
    resume: str | None = None
    """Folder of an audit to go on with; its own settings hold, but for --gold and --watch."""

    def __post_init__(self) -> None:
        if self.seed < 0 or self.max_prompts < 2 or self.samples < 2 or self.run_samples < 1:
            raise UserError("--samples and --max-prompts are at least 2, --run-samples at least 1, --seed at least 0")
        if self.budget is not None and self.budget < 2:
            raise UserError(f"--budget {self.budget} tells nothing about its own error; give 2 or more")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise UserError("--max-new-tokens is at least 1")
        given = [
            name for name, value in (("RUN", self.run), ("--policy", self.policy), ("--table", self.table)) if value
        ]
        if len(given) > 1:
            raise UserError(f"{' and '.join(given)} are different things to audit; give one of them")
        if not given and self.resume is None:
            raise UserError("there is nothing to audit; give a run folder, --policy, or --table; see --help")
        if self.run and self.proxy:
            raise UserError("the proxy of a run is what it was trained on; leave out --proxy")
        if self.watch and self.run is None and self.resume is None:
            raise UserError("--watch follows a run; name its folder")
        if self.watch and self.judged_by_people:
            raise UserError("--watch cannot wait for people's judgements; audit the run when it has ended")

    @property
    def judged_by_people(self) -> bool:
        """Whether gold is a file of judgements."""
        return self.gold is not None and self.gold.endswith(LABELS)


def main(command: AuditCommand) -> None:
    """Audit, with what computes loaded only now."""
    from foolsgold.serving.audit_run import main as audit

    audit(command)
