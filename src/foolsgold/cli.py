"""The command `foolsgold`."""

from __future__ import annotations

import importlib
import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any

import tyro

from foolsgold import __version__
from foolsgold.errors import UserError

HELP = f"""foolsgold {__version__}: learn how far a reward can be trusted.

usage: foolsgold run STUDY [settings]
       foolsgold train COMMAND [settings]
       foolsgold generate --model MODEL [settings]
       foolsgold audit [RUN] [settings]
       foolsgold tasks --out FILE [settings]
       foolsgold verify --verifier NAME --data FILE [settings]
       foolsgold tools [--install lean]
       foolsgold label --store FILE | --demo [settings]
       foolsgold labels COMMAND [settings]
       foolsgold serve [settings]

studies:
  alphago           AlphaGo trained by RLHF beside AlphaGo trained by real RL; then they play each other
  overoptimization  RLHF pushed too far: gold beside proxy at every step of RL and for best of n
  gap               who picks better than the policy writes: reward model, readers, the policy itself, the critic
  conditioned       RLHF without RL: learn what scored how, ask for a high score
  gaming            reward gaming found and fined: what alarms are worth, and how much gold each defence keeps
  real_rl           RL on a verifier beside RL on a vibe: programs, translations, annotations
  coding            write a program, run its tests, read the failure, repeat; the traces train the next model
  proofs            theorems proved tactic by tactic: finetuning, expert iteration and RL against Coq or Lean
  annotations       invariants proposed by a model, programs proved by a solver
  open_domain       summaries, ambiguous questions, jokes, Java to Python: is there an objective reward?
  crowd             users who differ: rules of adding up their wishes, at equal KL

language models:
  train     pretrain, sft, reward, rl …: see foolsgold train --help
  generate  completions of prompts, the best of several by a reward
  audit     how far a reward can be trusted: gold beside proxy, where to stop, where the proxy is wrong
  tasks     problems whose answers can be checked, as a data set
  verify    verdicts on answers: programs, translations, proofs, invariants, results
  tools     which programs verifiers run are there, and how to get the others

people and pages:
  label     a page on which people compare texts, conversations, diffs and Go boards
  labels    import, export, add up and compare judgements: see foolsgold labels --help
  serve     runs in the browser as they grow, and the labels that audits ask people for

examples:
  foolsgold run alphago
  foolsgold run alphago --board 5 --games 4000 --seed 1
  foolsgold train sft --model Qwen/Qwen3-0.6B --data pairs.jsonl --lora 16
  foolsgold generate --model runs/sft-…/model --prompt "Write a poem about paperclips."
  foolsgold audit runs/rl-…
  foolsgold tasks --world java --out java.jsonl
  foolsgold train rl --model runs/sft-…/model --prompts java.jsonl --reward verifier:java
  foolsgold label --demo
"""


# torch takes a second to load, and help should not: what computes is imported where it is needed.


def _run(arguments: list[str]) -> None:
    name, *settings = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(HELP, end="")
        return
    from foolsgold.studies import (
        alphago,
        annotations,
        coding,
        conditioned,
        crowd,
        gaming,
        gap,
        open_domain,
        overoptimization,
        proofs,
        real_rl,
    )
    from foolsgold.studies.alphago_plan import AlphaGoConfig

    studies: dict[str, tuple[Any, Callable[[Any], None]]] = {
        "alphago": (AlphaGoConfig, alphago.main),
        "overoptimization": (overoptimization.OveroptimizationConfig, overoptimization.main),
        "gap": (gap.GapConfig, gap.main),
        "conditioned": (conditioned.ConditionedConfig, conditioned.main),
        "gaming": (gaming.GamingConfig, gaming.main),
        "real_rl": (real_rl.RealRLConfig, real_rl.main),
        "coding": (coding.CodingConfig, coding.main),
        "proofs": (proofs.ProofsConfig, proofs.main),
        "annotations": (annotations.AnnotationsConfig, annotations.main),
        "open_domain": (open_domain.OpenDomainConfig, open_domain.main),
        "crowd": (crowd.CrowdConfig, crowd.main),
    }
    if name not in studies:
        raise UserError(f"there is no study {name!r}; choose one of: {', '.join(studies)}")
    config, study = studies[name]
    study(tyro.cli(config, prog=f"foolsgold run {name}", description=inspect.getdoc(config), args=settings))


def _train(arguments: list[str]) -> None:
    from foolsgold.serving import train_settings

    name, *settings = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(train_settings.HELP, end="")
        return
    if name not in train_settings.COMMANDS:
        raise UserError(f"there is no training {name!r}; choose one of: {', '.join(train_settings.COMMANDS)}")
    config = train_settings.COMMANDS[name]
    given = tyro.cli(config, prog=f"foolsgold train {name}", description=inspect.getdoc(config), args=settings)
    from foolsgold.serving.train_commands import COMMANDS

    _quiet_transformers()
    COMMANDS[name](given)


def _labels(arguments: list[str]) -> None:
    from foolsgold.serving import labels_command

    name, *settings = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(labels_command.HELP, end="")
        return
    if name not in labels_command.COMMANDS:
        raise UserError(f"there is no command labels {name!r}; choose one of: {', '.join(labels_command.COMMANDS)}")
    config = labels_command.COMMANDS[name]
    prog, description = f"foolsgold labels {name}", inspect.getdoc(config)
    labels_command.main(tyro.cli(config, prog=prog, description=description, args=settings))


def _single(name: str, arguments: list[str]) -> None:
    """A command that has one dataclass of settings, both in the module of its name."""
    module = importlib.import_module(f"foolsgold.serving.{name}_command")
    config = getattr(module, f"{name.capitalize()}Command")
    given = tyro.cli(config, prog=f"foolsgold {name}", description=inspect.getdoc(config), args=arguments)
    if name in ("generate", "audit"):
        _quiet_transformers()
    module.main(given)


def _quiet_transformers() -> None:
    """No bars for what takes a moment."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def _warn(message: Warning | str, category: type[Warning], *where: object, **other: object) -> None:
    """A warning in one line, without the line of source that raised it."""
    if issubclass(category, UserWarning):
        print(f"foolsgold: {message}", file=sys.stderr)


_GROUPS = {"run": _run, "train": _train, "labels": _labels}
_SINGLE = ("generate", "audit", "tasks", "verify", "tools", "label", "serve")


def main() -> None:
    """Entry point: a mistake the user can mend is one line and exit code 2, an interruption exit code 130."""
    warnings.showwarning = _warn
    command, *arguments = sys.argv[1:] or ["--help"]
    try:
        if command in ("-h", "--help"):
            print(HELP, end="")
        elif command == "--version":
            print(__version__)
        elif command in _GROUPS:
            _GROUPS[command](arguments)
        elif command in _SINGLE:
            _single(command, arguments)
        else:
            raise UserError(f"there is no command {command!r}; see foolsgold --help")
    except UserError as error:
        print(f"foolsgold: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nfoolsgold: interrupted; go on with --resume and the run folder named above", file=sys.stderr)
        sys.exit(130)
