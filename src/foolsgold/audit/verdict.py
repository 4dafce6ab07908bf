"""What a study found: the claim, the answer, and every measured figure with its interval and sample size."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Literal, get_args

from rich.table import Table
from rich.text import Text

from foolsgold.files import write_text

Answer = Literal["holds", "fails", "depends"]

SAID = {"holds": "The claim holds", "fails": "The claim fails", "depends": "It depends"}
"""The answer in words, for people."""

_COLOR = {"holds": "green", "fails": "red", "depends": "yellow"}


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Raises:
      ValueError: only one end of the interval is given, its ends are swapped, or `n` is negative.
    """

    name: str
    """What was measured, as a reader would say it."""
    value: float
    """The estimate, in `unit`; a fraction from 0 to 1 where the unit is "%". May be infinite or not a number."""
    low: float | None
    """Lower end of the 95 % interval, same unit; None when the figure is exact, such as a count."""
    high: float | None
    """Upper end of the 95 % interval."""
    n: int
    """Sample size: how many independent observations the figure rests on."""
    unit: str = ""
    note: str = ""
    """What a reader must know to read the figure right."""

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{self.name}: an interval has two ends; give low and high, or neither")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"{self.name}: the interval [{self.low}, {self.high}] has its ends swapped")
        if self.n < 0:
            raise ValueError(f"{self.name}: sample size {self.n} is negative")


@dataclass(frozen=True)
class Shown:
    """A figure in words; the parts joined by spaces read `81.3 % [76.2, 85.6] of 400`."""

    value: str
    interval: str
    n: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.value, self.interval, self.n) if part)


def shown(figure: Figure) -> Shown:
    """`figure` for the eye, the same in the terminal and on the page.

    Digits: so many that half the interval's width keeps two significant ones, at least one decimal for per cent.
    """
    scale = 100.0 if figure.unit == "%" else 1.0
    value = figure.value * scale
    interval = ""
    if figure.low is None or figure.high is None:
        digits = _exact_digits(value)
    else:
        low, high = figure.low * scale, figure.high * scale
        # Steps and counts stay whole, however few lie between both ends.
        whole = figure.unit != "%" and all(float(each).is_integer() for each in (value, low, high))
        digits = 0 if whole else _interval_digits(value, (high - low) / 2)
    if figure.unit == "%":
        digits = max(digits, 1)
    if figure.low is not None:
        interval = f"[{_number(low, digits)}, {_number(high, digits)}]"
    text = f"{_number(value, digits)} {figure.unit}".strip()
    if not interval and value == figure.n:
        return Shown(text, interval, "")  # a count is its own sample size
    return Shown(text, interval, f"of {figure.n:,}" if figure.unit == "%" else f"n = {figure.n:,}")


def _interval_digits(value: float, half_width: float) -> int:
    if not math.isfinite(half_width) or half_width <= 0:
        return _exact_digits(value)
    return min(max(1 - math.floor(math.log10(half_width)), 0), 6)


def _exact_digits(value: float) -> int:
    """No decimals for a whole number, else three significant digits."""
    if not math.isfinite(value) or value == int(value):
        return 0
    return min(max(2 - math.floor(math.log10(abs(value))), 0), 6)


def _number(value: float, digits: int) -> str:
    if math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    exact = Decimal(repr(round(float(value), 9)))  # as people write and round it: 81.25 gives 81.3
    text = f"{exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):,}"
    if text.strip("-0.") == "":
        text = text.lstrip("-")  # rounding must not leave a minus before nothing
    return text.replace("-", "−")


@dataclass(frozen=True)
class Verdict:
    """What one study says about one claim.

    Raises:
      ValueError: the answer is none of holds, fails, depends.
    """

    study: str
    claim: str
    """The claim in its author's words."""
    answer: Answer
    sentence: str
    """The verdict in one sentence, with its numbers."""
    figures: tuple[Figure, ...]

    def __post_init__(self) -> None:
        if self.answer not in get_args(Answer):
            raise ValueError(f"answer {self.answer!r} is unknown; choose one of {', '.join(get_args(Answer))}")
        object.__setattr__(self, "figures", tuple(self.figures))

    def write(self, path: str | Path) -> Path:
        """Write as JSON; figures that are no finite number are written as the strings inf, -inf and nan."""
        data = asdict(self)
        for figure in data["figures"]:
            for key in ("value", "low", "high"):
                figure[key] = _to_json(figure[key])
        return write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> Verdict:
        """The verdict written to `path`.

        Raises:
          ValueError: the file is no verdict; the message says what is wrong with it.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            figures = tuple(Figure(**{**figure, **_numbers(figure)}) for figure in data.pop("figures"))
            return cls(**data, figures=figures)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is no verdict: {error}") from error


def _to_json(value: float | None) -> float | str | None:
    if value is None:
        return None
    value = float(value)  # NumPy's scalars are no JSON
    return value if math.isfinite(value) else str(value)


def _numbers(figure: dict[str, Any]) -> dict[str, float | None]:
    return {key: None if figure[key] is None else float(figure[key]) for key in ("value", "low", "high")}


def table(verdict: Verdict) -> Table:
    """The verdict for the terminal: the answer above, one row a figure, the sentence below."""
    title = Text(f"{verdict.study}: {SAID[verdict.answer]}", style=f"bold {_COLOR[verdict.answer]}")
    result = Table(title=title, caption=Text(verdict.sentence), title_justify="left", caption_justify="left")
    result.add_column("figure")
    result.add_column("measured", justify="right", no_wrap=True)
    result.add_column("95 % interval", justify="right", no_wrap=True)
    result.add_column("sample", justify="right", no_wrap=True)
    notes = any(figure.note for figure in verdict.figures)
    if notes:
        result.add_column("note", style="dim")
    for figure in verdict.figures:
        parts = shown(figure)
        cells = [figure.name, parts.value, parts.interval, parts.n, *([figure.note] if notes else [])]
        result.add_row(*map(Text, cells))  # Text, so that square brackets are not taken for markup
    return result
