"""One game of Go for people and tools: named moves, checked input, a history that can be walked."""

from __future__ import annotations

import numpy as np

from foolsgold.environments.go import rules
from foolsgold.environments.go.rules import BLACK, EMPTY, MAX_SIZE, META, MIN_SIZE, WHITE

COLUMNS = "ABCDEFGHJKLMNOPQRST"  # I is left out, as on every Go board
DEFAULT_KOMI = {5: 24.5, 7: 9.5}
"""Komi near the value of perfect play: Black wins all of 5x5 (+25) and 7x7 by 9 (van der Werf 2009; Li Zhe 2015)."""


class IllegalMove(ValueError):
    """The move breaks the rules; the message says which."""


def default_komi(size: int) -> float:
    """Komi in points that makes an even game of `size`, as far as is known; 7.5 on larger boards."""
    return DEFAULT_KOMI.get(size, 7.5)


def check_size(size: int) -> int:
    """Returns `size`, or raises ValueError when no board of that size is supported."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"board size {size} is not supported; choose one from {MIN_SIZE} to {MAX_SIZE}")
    return size


class Board:
    """A game of Go: area scoring, positional superko, no suicide, ended by two passes.

    Actions are y * size + x with (0, 0) the top left corner, and size * size to pass.
    """

    def __init__(self, size: int = 9, komi: float | None = None):
        self.size = check_size(size)
        self.komi = default_komi(size) if komi is None else float(komi)
        self.state = rules.new_state(size)
        self.history = rules.new_history(2 * size * size)

    @property
    def pass_action(self) -> int:
        return self.size * self.size

    @property
    def to_play(self) -> int:
        """BLACK (1) or WHITE (2)."""
        return int(self.state[META, rules.TO_PLAY])

    @property
    def moves(self) -> int:
        """Moves played so far, passes counted."""
        return int(self.state[META, rules.MOVES])

    @property
    def is_over(self) -> bool:
        return bool(self.state[META, rules.PASSES] >= 2)

    @property
    def last_action(self) -> int | None:
        """The last action played, None before the first."""
        if self.moves == 0:
            return None
        point = int(self.state[META, rules.LAST])
        return self.pass_action if point == 0 else rules.action_of(point, self.size)

    @property
    def captures(self) -> tuple[int, int]:
        """Stones taken by Black and by White."""
        return int(self.state[META, rules.TAKEN_BY_BLACK]), int(self.state[META, rules.TAKEN_BY_WHITE])

    @property
    def grid(self) -> np.ndarray:
        """int8 `[N, N]`: 0 empty, 1 Black, 2 White."""
        padded = self.state[rules.COLOR, : (self.size + 2) ** 2].reshape(self.size + 2, -1)
        return padded[1:-1, 1:-1].astype(np.int8)

    def legal_actions(self) -> np.ndarray:
        """uint8 `[N * N + 1]`, 1 for each legal action; all 0 when the game is over."""
        mask = np.zeros(self.size * self.size + 1, np.uint8)
        if not self.is_over:
            rules.legal_actions(self.state, self.history, mask)
        return mask

    def play(self, action: int) -> None:
        """Play `action` for the player to move.

        Raises:
          IllegalMove: the game is over, the point is off the board or taken, suicide, or superko.
        """
        if self.is_over:
            raise IllegalMove("the game is over: both players passed")
        if not 0 <= action <= self.pass_action:
            raise IllegalMove(f"action {action} is not on a board of {self.size}x{self.size}")
        if action != self.pass_action:
            self._check_stone(action)
            self._make_room()
        rules.play(self.state, self.history, action)

    def _check_stone(self, action: int) -> None:
        name = self.name_of(action)
        point = rules.point_of(action, self.size)
        if self.state[rules.COLOR, point] != EMPTY:
            raise IllegalMove(f"{name} is taken")
        if rules.is_suicide(self.state, point, self.to_play):
            raise IllegalMove(f"{name} is suicide")
        if not rules.is_legal_point(self.state, self.history, point):
            raise IllegalMove(f"{name} repeats an earlier position (superko)")

    def _make_room(self) -> None:
        needed = rules.history_length(int(self.history[0]))
        if needed >= len(self.history):
            self.history = np.concatenate([self.history, np.zeros_like(self.history)])

    def play_as(self, color: int, action: int) -> None:
        """Play `action` for `color`, passing the turn first where needed, as GTP and SGF allow.

        Raises:
          IllegalMove: as `play`; the turn is then as it was.
        """
        turn = self.to_play
        self.state[META, rules.TO_PLAY] = color
        try:
            self.play(action)
        except IllegalMove:
            self.state[META, rules.TO_PLAY] = turn
            raise

    def set_up(self, black: list[int] = (), white: list[int] = (), to_play: int = BLACK) -> None:  # type: ignore[assignment]
        """Put stones on the board before the first move, all at once: superko knows only the finished position.

        Raises:
          IllegalMove: moves were played already, a point is off the board or taken, or a stone would have no liberty.
            The board is then as it was.
        """
        if self.moves:
            raise IllegalMove("stones can be set up only before the first move")
        state, change = self.state.copy(), 0
        for color, actions in ((BLACK, black), (WHITE, white)):
            for action in actions:
                if not 0 <= action < self.pass_action:
                    raise IllegalMove(f"action {action} is no point of a {self.size}x{self.size} board")
                point = rules.point_of(action, self.size)
                if state[rules.COLOR, point] != EMPTY:
                    raise IllegalMove(f"{self.name_of(action)} is set up twice")
                # Part of a position in which every chain has a liberty is such a position too: the order is free.
                if rules.is_suicide(state, point, color):
                    raise IllegalMove(f"{self.name_of(action)} is set up without a liberty")
                change ^= int(rules.place(state, point, color))
                if state[META, rules.TAKEN_BY_BLACK] or state[META, rules.TAKEN_BY_WHITE]:
                    raise IllegalMove(f"{self.name_of(action)} is set up on the last liberty of a neighbour")
        state[META, rules.TO_PLAY] = to_play
        self.state = state
        self._make_room()
        rules.remember(self.history, np.uint64(rules.position_hash(self.history) ^ change))

    def place_handicap(self, stones: int) -> list[int]:
        """Place 2 to 9 fixed handicap stones (GTP 2, section 4.1.1); White moves next. Returns their actions."""
        actions = handicap_points(self.size, stones)
        self.set_up(black=actions, to_play=WHITE)
        return actions

    def score(self) -> float:
        """Black's area minus White's minus komi, in points; every stone on the board counts as alive."""
        ownership, queue = np.zeros(self.size**2, np.int8), np.zeros(self.size**2, np.uint16)
        return rules.area_score(self.state, ownership, queue) - self.komi

    def copy(self) -> Board:
        other = Board(self.size, self.komi)
        other.state, other.history = self.state.copy(), self.history.copy()
        return other

    def name_of(self, action: int) -> str:
        """`D4`, `pass`: the name of an action on the board."""
        if action == self.pass_action:
            return "pass"
        y, x = divmod(action, self.size)
        return f"{COLUMNS[x]}{self.size - y}"

    def action_of(self, name: str) -> int:
        """The action with this name, in either case.

        Raises:
          IllegalMove: no such point.
        """
        text = name.strip().upper()
        if text == "PASS":
            return self.pass_action
        column = COLUMNS.find(text[:1]) if text else -1
        row = int(text[1:]) if text[1:].isascii() and text[1:].isdigit() else 0
        if not (0 <= column < self.size and 1 <= row <= self.size):
            raise IllegalMove(f"{name!r} is no point of a {self.size}x{self.size} board")
        return (self.size - row) * self.size + column

    def __str__(self) -> str:
        rows = [f"{self.size - y:2d} " + " ".join(".XO"[c] for c in line) for y, line in enumerate(self.grid)]
        return "\n".join([*rows, "   " + " ".join(COLUMNS[: self.size])])


def handicap_points(size: int, stones: int) -> list[int]:
    """Fixed handicap points of GTP 2: corners, then sides, then the centre.

    Raises:
      ValueError: fewer than 2 stones, or more than the board has star points for.
    """
    most = 9 if size % 2 and size >= 9 else 4
    if size < 7 or not 2 <= stones <= most:
        allowed = f"2 to {most}" if size >= 7 else "none"
        raise ValueError(f"{stones} handicap stones do not fit {size}x{size}; allowed: {allowed}")
    near = 2 if size < 13 else 3
    far, middle = size - 1 - near, size // 2
    corners = [(far, near), (near, far), (near, near), (far, far)]
    west_east = [(middle, near), (middle, far)]
    south_north = [(far, middle), (near, middle)]
    centre = [(middle, middle)]
    layout = {
        **{n: corners[:n] for n in (2, 3, 4)},
        5: corners + centre,
        6: corners + west_east,
        7: corners + west_east + centre,
        8: corners + west_east + south_north,
        9: corners + west_east + south_north + centre,
    }
    return [y * size + x for y, x in layout[stones]]
