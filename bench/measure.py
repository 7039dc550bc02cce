"""Medians, and figures beside their floor or peer."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec


class Series(msgspec.Struct, frozen=True):
    """The same thing measured several times."""

    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def of(self, unit: str) -> str:
        """The median, and the range where there is one."""
        spread = f" ({min(self.values):.3g} to {max(self.values):.3g})"
        return f"{self.median:.3g} {unit}{spread if len(self.values) > 1 else ''}"


class Figure(msgspec.Struct, frozen=True):
    """One line of the results."""

    what: str
    measured: Series
    unit: str
    #: The floor or peer: what it is, and its own figures in the same unit.
    beside: str = ""
    other: Series | None = None
    #: The aim, at most one of: the most it may be; the most times slower than the other it may
    #: be; how many times quicker than the other it must be.
    most: float | None = None
    slower: float | None = None
    quicker: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times slower than its floor; quicker than its peer where that is the aim."""
        if self.other is None:
            return None
        ours, theirs = self.measured.median, self.other.median
        return ours / theirs if self.quicker is None else theirs / ours

    @property
    def aims(self) -> list[tuple[str, bool]]:
        """Every aim in words, and whether it is met."""
        ratio = self.ratio or 0.0
        found = []
        if self.most is not None:
            found.append((f"≤ {self.most:g} {self.unit}", self.measured.median <= self.most))
        if self.slower is not None:
            found.append((f"≤ {self.slower:g} ×", ratio <= self.slower))
        if self.quicker:
            found.append((f"≥ {self.quicker:g} × quicker", ratio >= self.quicker))
        return found

    def cells(self) -> list[str]:
        """What, measured, floor or peer, ratio, aim, met."""
        other = f"{self.beside}: {self.other.of(self.unit)}" if self.other else self.beside
        ratio = "" if self.ratio is None else f"{self.ratio:.3g} ×"
        ratio += " quicker" if self.quicker is not None else ""
        aim = ", ".join(words for words, _ in self.aims)
        met = "" if not self.aims else "yes" if all(met for _, met in self.aims) else "**no**"
        return [self.what, self.measured.of(self.unit), other, ratio, aim, met]


class Stopwatch:
    """Keeps what was measured, by name.

    Attributes:
        all: name → what was measured, in order.
        started: when the last measurement began, in seconds since 1970.
        ended: when it ended.
    """

    def __init__(self) -> None:
        self.all: dict[str, list[float]] = {}
        self.started = self.ended = 0.0

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        self.started = time.time()
        before = time.perf_counter()
        yield
        self.note(name, time.perf_counter() - before)
        self.ended = time.time()

    def note(self, name: str, value: float) -> None:
        self.all.setdefault(name, []).append(value)

    def series(self, name: str) -> Series:
        return Series(self.all[name])


def repeat(times: int, work: Callable[[], object], scale: float = 1.0) -> Series:
    """How long *work* takes, in seconds times *scale*, measured *times* times."""
    watch = Stopwatch()
    for _ in range(times):
        with watch.time(""):
            work()
    return Series([each * scale for each in watch.all[""]])
