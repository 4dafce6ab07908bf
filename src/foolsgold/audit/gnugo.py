"""Matches against GNU Go: an opponent that nobody here trained, spoken to by GTP 2 (Farnebäck 2002).

How a finished game is counted, which decides who is said to be stronger:

- Rules: area scoring, positional superko, no suicide, two passes end the game. GNU Go is told the same.
- GNU Go takes dead stones off by playing (`--capture-all-dead`) before it passes. Stones that are dead all the same
  when both have passed, its own mostly, leave the board as GNU Go and people would take them off: those that its
  `final_status_list dead` names. What is left is counted by area. So an agent that passes with dead stones on the board
  does not win by them, and need not capture GNU Go's.
- A move of GNU Go that our rules forbid is taken back and counts as a pass; `illegal_moves` says how often.
- GNU Go is told never to resign; should it, it lost by the whole board.
- A game that is not over after 3 * N * N moves is counted in the same way as it stands.
"""

from __future__ import annotations

import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foolsgold.audit.match import Agent
from foolsgold.environments.go.board import Board, IllegalMove, check_size, default_komi
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.errors import UserError
from foolsgold.policies.inference import Evaluate, go_evaluator
from foolsgold.policies.search import Searcher

PASS, RESIGN = "pass", "resign"
PROCESSES = 2
_GAME_FOLDERS = "/usr/games:/usr/local/games"  # where Debian puts games, often not on PATH
_OPTIONS = ("--mode", "gtp", "--chinese-rules", "--positional-superko", "--capture-all-dead", "--never-resign")
_LETTER = {BLACK: "b", WHITE: "w"}


def find_gnugo() -> Path | None:
    """The program, on PATH or where Debian keeps games; None when it is not installed."""
    found = shutil.which("gnugo") or shutil.which("gnugo", path=_GAME_FOLDERS)
    return Path(found) if found else None


class GnuGo:
    """One GNU Go process, a context manager; colours are BLACK or WHITE, vertices are written "D4" or "pass".

    Every method raises UserError when the process is gone, does not answer in time, or refuses the command.
    """

    def __init__(self, level: int, size: int, komi: float, timeout: float = 300.0):
        """Start the process.

        Args:
          level: strength, 1 to 10; more is allowed and slow.
          size: side of the board, 5 to 19.
          komi: points.
          timeout: seconds to wait for any answer.

        Raises:
          UserError: GNU Go is not installed.
          ValueError: no such size.
        """
        check_size(size)
        program = find_gnugo()
        if program is None:
            raise UserError("GNU Go was not found on PATH or in /usr/games; install it, on Debian: apt install gnugo")
        self.timeout = timeout
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            [str(program), *_OPTIONS, "--level", str(level)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        # A thread reads, because a pipe cannot be read with a time limit on every system.
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.command(f"boardsize {size}")
            self.command(f"komi {komi}")
        except UserError:
            self.close()
            raise

    def __enter__(self) -> GnuGo:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the process; harmless when it has ended."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        lines: list[str] = []
        for line in self._process.stdout:  # type: ignore[union-attr]
            if line.strip():
                lines.append(line.strip())
            elif lines:  # an empty line ends an answer
                self._answers.put("\n".join(lines))
                lines = []
        self._answers.put(None)

    def command(self, text: str) -> str:
        """Send one GTP command; returns what follows the "=" of the answer."""
        try:
            self._process.stdin.write(text + "\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
            answer = self._answers.get(timeout=self.timeout)
        except OSError:
            answer = None
        except queue.Empty:
            self.close()
            raise UserError(f"GNU Go did not answer {text!r} within {self.timeout:g} s") from None
        if answer is None:
            raise UserError(f"GNU Go ended (exit code {self._process.wait()}) when it was sent {text!r}")
        if not answer.startswith("="):
            raise UserError(f"GNU Go refused {text!r}: {answer.removeprefix('?').strip()}")
        return answer[1:].strip()

    def play(self, color: int, vertex: str) -> None:
        self.command(f"play {_LETTER[color]} {vertex}")

    def genmove(self, color: int) -> str:
        """Let GNU Go play for `color`; returns the vertex, "pass" or "resign"."""
        vertex = self.command(f"genmove {_LETTER[color]}")
        return vertex.lower() if vertex.lower() in (PASS, RESIGN) else vertex

    def undo(self) -> None:
        self.command("undo")

    def set_position(self, moves: Sequence[tuple[int, str]], seed: int = 0) -> None:
        """Begin a new game with these moves of (colour, vertex).

        What GNU Go plays from here depends on the moves and the seed alone.
        """
        self.command("clear_board")
        self.command("clear_cache")
        self.command(f"set_random_seed {seed}")
        for color, vertex in moves:
            self.play(color, vertex)

    def dead_stones(self) -> list[str]:
        """The vertices of the stones that GNU Go holds for dead."""
        return self.command("final_status_list dead").split()

    def final_score(self) -> float:
        """GNU Go's own count of the board for Black, komi taken off, in points."""
        text = self.command("final_score").upper()
        return 0.0 if text.startswith("0") else float(text[2:]) * (1 if text.startswith("B") else -1)


def settled_score(board: Board, dead: Sequence[str]) -> float:
    """Black's area minus White's minus komi, in points, once the stones at the vertices `dead` are off the board."""
    grid = board.grid.ravel().copy()
    grid[[board.action_of(vertex) for vertex in dead]] = 0
    settled = Board(board.size, board.komi)
    settled.set_up(np.flatnonzero(grid == BLACK).tolist(), np.flatnonzero(grid == WHITE).tolist())
    return settled.score()


@dataclass(frozen=True)
class GnuGoMatch:
    """K games of an agent against GNU Go; game 2 i and 2 i + 1 share an opening with colours swapped."""

    level: int
    """GNU Go's."""
    komi: float
    """points"""
    agent_is_black: np.ndarray
    """bool `[K]`"""
    scores: np.ndarray
    """float32 `[K]`, the agent's margin, komi counted, in points"""
    moves: np.ndarray
    """int64 `[K]`, opening and passes counted"""
    illegal_moves: int
    """Moves of GNU Go that our rules forbid and that became passes."""

    @property
    def games(self) -> int:
        return len(self.scores)

    @property
    def results(self) -> np.ndarray:
        """float64 `[K]`: 1 where the agent won, 0.5 for a draw."""
        return (np.sign(self.scores) + 1) / 2

    @property
    def wins(self) -> float:
        """Games the agent won; a draw, which half a point of komi excludes, counts as half."""
        return float(self.results.sum())

    @property
    def wins_as_black(self) -> float:
        return float(self.results[self.agent_is_black].sum())

    @property
    def wins_as_white(self) -> float:
        return float(self.results[~self.agent_is_black].sum())


class _Table:
    """A GNU Go process and a searcher: plays one game at a time."""

    def __init__(self, engine: GnuGo, agent: Agent, evaluate: Evaluate, size: int, komi: float):
        self.engine, self.agent, self.evaluate = engine, agent, evaluate
        self.size, self.komi = size, komi
        self.limit = 3 * size * size
        self.searcher = Searcher(size, 1, agent.search.simulations, self.limit)

    def play(self, opening: Sequence[int], agent_color: int, seed: np.random.SeedSequence) -> tuple[float, int, int]:
        """One game; returns the agent's margin in points, the moves, and GNU Go's illegal moves."""
        search_seed, engine_seed = np.random.default_rng(seed).integers(1, 2**31, 2)
        seeds = np.array([search_seed], np.uint64)
        board, illegal = Board(self.size, self.komi), 0
        moves = []
        for action in opening:
            moves.append((board.to_play, board.name_of(action)))
            board.play(action)
        self.engine.set_position(moves, int(engine_seed))
        sign = 1 if agent_color == BLACK else -1
        while not board.is_over and board.moves < self.limit:
            if board.to_play == agent_color:
                action = self._agent_move(board, seeds)
                self.engine.play(board.to_play, board.name_of(action))
                board.play(action)
                continue
            vertex = self.engine.genmove(board.to_play)
            if vertex == RESIGN:
                return float(self.size**2), board.moves, illegal
            try:
                board.play(board.action_of(vertex))
            except IllegalMove:
                illegal += 1
                self.engine.undo()
                self.engine.play(board.to_play, PASS)
                board.play(board.pass_action)
        return sign * settled_score(board, self.engine.dead_stones()), board.moves, illegal

    def _agent_move(self, board: Board, seeds: np.ndarray) -> int:
        komi = np.array([self.komi], np.float32)
        agent = self.agent
        found = self.searcher.run(
            board.state[None], board.history[None], komi, self.evaluate, agent.referee, agent.search, seeds
        )
        return int(found.actions[0])


def _random_opening(size: int, length: int, rng: np.random.Generator) -> list[int]:
    """`length` uniformly random legal stones."""
    board, actions = Board(size), []
    for _ in range(length):
        action = int(rng.choice(np.flatnonzero(board.legal_actions()[:-1])))
        board.play(action)
        actions.append(action)
    return actions


def play_against_gnugo(
    agent: Agent,
    size: int,
    games: int,
    level: int = 10,
    seed: int = 0,
    opening: int = 2,
    komi: float | None = None,
    report: Callable[[int, int], None] | None = None,
) -> GnuGoMatch:
    """Play `games` (an even number) games on two GNU Go processes; the same seed gives the same games.

    Args:
      agent: searches with its own settings; `gumbel_scale` 0 plays its best move.
      size: side of the board, 5 to 19.
      level: GNU Go's strength, 1 to 10.
      opening: random stones before the players take over, an even number; each pair of games shares them.
      komi: points; the board's default unless given.
      report: called with (games over, games) after each game, from the threads that play.

    Raises:
      UserError: GNU Go is missing, or one of the processes failed.
      ValueError: an odd number of games or of opening moves, or no such board.
    """
    if games % 2 or opening % 2:
        raise ValueError("give an even number of games and of opening moves: each opening is played with both colours")
    komi = default_komi(check_size(size)) if komi is None else komi
    evaluate = go_evaluator(agent.network, 1, size)
    idle: queue.Queue[_Table] = queue.Queue()
    lock, ended = threading.Lock(), [0]

    def play(game: int) -> tuple[float, int, int]:
        # Openings are drawn by the pair and everything else by the game, so that no thread's speed can change them.
        start = _random_opening(size, opening, np.random.default_rng([seed, 12, game // 2]))
        table = idle.get()
        try:
            outcome = table.play(start, WHITE if game % 2 else BLACK, np.random.SeedSequence([seed, 13, game]))
        finally:
            idle.put(table)
        with lock:
            ended[0] += 1
            if report:
                report(ended[0], games)
        return outcome

    with ExitStack() as stack:
        for _ in range(PROCESSES):
            idle.put(_Table(stack.enter_context(GnuGo(level, size, komi)), agent, evaluate, size, komi))
        pool = stack.enter_context(ThreadPoolExecutor(PROCESSES))
        try:
            outcomes = list(pool.map(play, range(games)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    scores, moves, illegal = (np.array(column) for column in zip(*outcomes, strict=True))
    return GnuGoMatch(level, komi, np.arange(games) % 2 == 0, scores.astype(np.float32), moves, int(illegal.sum()))
