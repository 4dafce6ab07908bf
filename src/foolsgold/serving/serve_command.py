"""`foolsgold serve`: the live page of runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from foolsgold.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ServeCommand:
    """Watch runs in the browser: curves as they grow, samples, boards, reports, and the completions that audits ask
    people about.

    Everybody who reaches the address may read. Labels are given only by who opens the link with the token, which is
    printed at the start; without `--host` nobody but this machine reaches the address at all.

    examples:
      foolsgold serve
      foolsgold serve --runs /data/runs --port 9000
      foolsgold serve --scale 0:10 --guidelines what-is-good.md
    """

    runs: str = "runs"
    """Folder that the run folders are in."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8500
    """Port to listen on; 0 takes a free one."""
    url: str | None = None
    """What people open, such as https://runs.example.org, where other machines reach this one or a proxy stands
    between."""
    scale: str = "1:5"
    """Whole numbers that people give as gold to the completions of an audit, from bad to good."""
    guidelines: str | None = None
    """Text file that tells them what to go by."""
    behind_proxy: bool = False
    """Believe a proxy on this machine about who asks."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 2**16:
            raise UserError(f"--port {self.port} is no port; give one from 0 to 65535")


def main(command: ServeCommand) -> None:
    """Serve until interrupted.

    Raises:
      UserError: the folder or the guidelines are missing, or the address cannot be listened on.
    """
    # The web server takes a second to load, which --help need not.
    from rich.console import Console

    from foolsgold.labels.access import new_token
    from foolsgold.serving.runs_app import Labelling, runs_app
    from foolsgold.serving.runs_index import RunIndex
    from foolsgold.serving.runs_queue import Scale
    from foolsgold.serving.web_safety import is_loopback, site
    from foolsgold.serving.web_server import listen, server

    index = RunIndex(Path(command.runs).resolve())
    labelling = Labelling(Scale.read(command.scale), _guidelines(command.guidelines))
    site(command.host, command.port, command.url)  # tells what is wrong with it before a port is taken
    with listen(command.host, command.port) as bound:
        port = bound.getsockname()[1]
        served, token = site(command.host, port, command.url), new_token()
        app = runs_app(index, served, token, labelling, cookie=f"foolsgold_serve_{port}")
        console = Console()
        with suppress(KeyboardInterrupt):  # the way to end it
            for line in (
                f"runs in {index.root}",
                f"to read:        {served.url}/",
                f"to label also:  {served.url}/#token={token}",
            ):
                console.print(line, highlight=False, soft_wrap=True, markup=False)
            if not is_loopback(command.host):
                console.print("everybody who reaches this address reads all runs", style="yellow")
            server(app, command.behind_proxy).run(sockets=[bound])


def _guidelines(path: str | None) -> str:
    if path is None:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--guidelines {path} cannot be read: {error}") from error
