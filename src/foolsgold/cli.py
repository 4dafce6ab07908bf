"""The command `foolsgold`."""

from __future__ import annotations

import sys

import tyro

from foolsgold import __version__
from foolsgold.errors import UserError

HELP = f"""foolsgold {__version__}: learn how far a reward can be trusted.

usage: foolsgold run STUDY [settings]

studies:
  alphago   AlphaGo trained by RLHF beside AlphaGo trained by real RL; then they play each other

examples:
  foolsgold run alphago
  foolsgold run alphago --board 5 --games 4000 --seed 1
  foolsgold run alphago --help
"""


def _run(arguments: list[str]) -> None:
    name, *settings = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(HELP, end="")
        return
    # Late: torch takes a second to load, and the help should not.
    from foolsgold.studies import alphago
    from foolsgold.studies.alphago_plan import AlphaGoConfig

    studies = {"alphago": (AlphaGoConfig, alphago.main)}
    if name not in studies:
        raise UserError(f"there is no study {name!r}; choose one of: {', '.join(studies)}")
    config, study = studies[name]
    study(tyro.cli(config, prog=f"foolsgold run {name}", args=settings))


def main() -> None:
    """Entry point: a mistake the user can mend is one line and exit code 2, an interruption exit code 130."""
    command, *arguments = sys.argv[1:] or ["--help"]
    try:
        if command in ("-h", "--help"):
            print(HELP, end="")
        elif command == "--version":
            print(__version__)
        elif command == "run":
            _run(arguments)
        else:
            raise UserError(f"there is no command {command!r}; see foolsgold --help")
    except UserError as error:
        print(f"foolsgold: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nfoolsgold: interrupted; go on with --resume and the run folder named above", file=sys.stderr)
        sys.exit(130)
