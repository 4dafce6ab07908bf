"""`foolsgold label`: people compare candidates on a page, and the store keeps what they say."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from foolsgold.errors import UserError

if TYPE_CHECKING:
    from foolsgold.labels.labelling import Labelling
    from foolsgold.labels.store import ComparisonStore

DEMO_STORE = "foolsgold-demo.sqlite"


@dataclass(frozen=True, kw_only=True)
class LabelCommand:
    """Serve a page on which people compare two candidates: texts, conversations, diffs or Go boards.

    Every rater gets a personal link, the administrator a link to agreement, pace, position bias and exports. Answers
    are kept in the store before they are acknowledged; raters may close the page and come back.

    examples:
      foolsgold label --demo
      foolsgold label --store labels.sqlite --project poems --data completions.jsonl --raters anna,ben
      foolsgold label --store labels.sqlite --project games --data sgf-pairs --display go --wanted 3 --raters anna,ben
      foolsgold label --store labels.sqlite
      foolsgold label --store labels.sqlite --host 0.0.0.0 --url https://label.example.org
      foolsgold train reward --model MODEL --data pairs.jsonl
    """

    store: str | None = None
    """SQLite file, or URL of a PostgreSQL database such as postgresql://user@host/name; made where there is none."""
    project: str | None = None
    """Project of the store, made where there is none; where not given, all of the store are served."""
    data: str | None = None
    """Pairs to add to the project: a data set with columns prompt, a and b (or prompt, chosen and rejected; or prompt
    and completion, several of each prompt), or a folder of game records NAME-a.sgf beside NAME-b.sgf."""
    guidelines: str | None = None
    """Text file with what raters are asked to look for; a blank line begins a paragraph, "- " an item of a list."""
    raters: str | None = None
    """Names, with commas between them; each who has no link yet gets one, which is printed."""
    display: Literal["text", "conversation", "diff", "go"] = "text"
    """How a new project shows its candidates."""
    wanted: int = 1
    """Judgements of each new pair, by different raters."""
    strength: bool = False
    """Whether a new project also asks how much better the better candidate is."""
    checks: float = 0.05
    """Share of a new project's pairs that are attention checks, where the data says which answers are `known`."""
    repeats: float = 0.05
    """Share of a new project's pairs that raters see a second time, sides swapped."""
    seed: int = 0
    """Of a new project: the order of its pairs and which candidate is on the left follow from it."""
    host: str = "127.0.0.1"
    """Address to listen on; the default can be reached from this machine only."""
    port: int = 8400
    """0 takes a free one."""
    url: str | None = None
    """What raters open, where it is not this server's own address: behind a proxy, or with --host 0.0.0.0."""
    demo: bool = False
    """Make two small projects, Go boards and poems, and two raters; in --store, or in foolsgold-demo.sqlite here."""

    def __post_init__(self) -> None:
        if self.store is None and not self.demo:
            raise UserError("give --store FILE, or --demo to try the page")
        if self.demo and (self.project or self.data or self.guidelines):
            raise UserError("--demo brings its own projects; leave out --project, --data and --guidelines")
        if self.project is None and (self.data or self.guidelines):
            raise UserError("--data and --guidelines are for one project; give --project NAME")
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port {self.port}: give 0 to 65535")
        if self.wanted < 1:
            raise UserError(f"--wanted {self.wanted}: give at least 1")

    @property
    def names(self) -> list[str]:
        """The raters' names, each once."""
        given = self.raters if self.raters is not None else "anna,ben" if self.demo else ""
        return list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))


def main(command: LabelCommand) -> None:
    """Serve the page until interrupted.

    Raises:
      UserError: the store, the data or the port cannot be had, or the store has no project.
    """
    from foolsgold.labels.access import new_token
    from foolsgold.labels.store import open_store
    from foolsgold.serving.labelling_app import labelling_app
    from foolsgold.serving.web_safety import site
    from foolsgold.serving.web_server import listen, server

    place = command.store or DEMO_STORE
    with open_store(place) as store:
        labellings = _projects(command, store)
        with listen(command.host, command.port) as bound:
            served, token = site(command.host, bound.getsockname()[1], command.url), new_token()
            app = labelling_app(labellings, served, token)
            print(f"store          {place}")
            print(f"administrator  {served.url}/admin#{token}")
            for labelling in labellings:
                _print_links(command, labelling, served.url)
            with suppress(KeyboardInterrupt):  # from the moment on that says so
                print("\nstop with Ctrl+C; links go on working when the page is served again", flush=True)
                server(app, behind_proxy=command.url is not None).run(sockets=[bound])


def _projects(command: LabelCommand, store: ComparisonStore) -> list[Labelling]:
    from foolsgold.labels.labelling import Labelling, projects

    if command.demo:
        from foolsgold.serving.label_demo import demo_projects

        return demo_projects(store, command.seed)
    there = projects(store)
    if command.project is None:
        if not there:
            raise UserError(f"{command.store} has no project yet; give --project NAME and --data FILE")
        return [Labelling.open(store, name) for name in there]
    if command.project not in there and command.data is None:
        raise UserError(f"{command.store} has no project {command.project!r} yet; give --data FILE with its pairs")
    labelling = Labelling.open(store, command.project) if command.project in there else _new(command, store)
    if command.data is not None:
        from foolsgold.serving.label_pairs import read_pairs

        added = labelling.add_pairs(read_pairs(command.data, command.wanted))
        print(f"{added:,} new pairs in {labelling.name}")
    return [labelling]


def _new(command: LabelCommand, store: ComparisonStore) -> Labelling:
    from foolsgold.labels.labelling import Labelling, Settings
    from foolsgold.serving.label_pairs import read_pairs

    assert command.project is not None  # asked for by name
    assert command.data is not None  # else there would be nothing to judge
    for _ in read_pairs(command.data, command.wanted):  # a file that cannot be read leaves no empty project behind
        pass
    settings = Settings(check_share=command.checks, repeat_share=command.repeats, strength=command.strength)
    words = _read(command.guidelines) if command.guidelines else ""
    return Labelling.create(store, command.project, words, command.display, command.seed, settings)


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}; give a text file in UTF-8") from error


def _print_links(command: LabelCommand, labelling: Labelling, url: str) -> None:
    members = {member.rater: member for member in labelling.raters()}
    print(f"\n{labelling.name}")
    for rater in command.names:
        member = members.get(rater)
        if member is not None and member.revoked:
            print(f"  {rater:12s} is locked out; a new link on the administrator's page lets them in again")
        elif member is not None and member.invited:
            print(f"  {rater:12s} keeps the earlier link; a new one is made on the administrator's page")
        else:
            print(f"  {rater:12s} {url}/label/{labelling.id}#{labelling.invite(rater)}")
    if not command.names and not members:
        print("  no raters yet; give --raters, or invite them on the administrator's page")
