"""Who is in the class, and how far: what a board was told, and what it makes of that."""

from collections.abc import Iterable, Mapping
from time import time

import msgspec

from dockyard import report
from dockyard.board.news import HERE, MOST_NAME, Gone, Help, Letter, Look, plain
from dockyard.grading import Criterion
from dockyard.report import CriterionResult

#: Learners in all, and from one address of the room, so that one machine cannot fill the board.
MOST, MOST_OF_ONE = 500, 150
#: Seconds without news after which a learner belongs to another day's class.
DAY = 12 * 3600.0


class Cell(msgspec.Struct):
    """One learner, one exercise. Times are in seconds since 1970, 0 for never.

    Attributes:
        on: id of the first criterion that is not met; nothing, where all are.
        since: when that began.
        help: since when its learner asks for help.
    """

    criteria: dict[str, CriterionResult] = {}
    on: str = ""
    since: float = 0
    heard: float = 0
    help: float = 0


class Row(msgspec.Struct):
    """A learner, as one sender names him or her.

    Attributes:
        label: the name, with a number where another sender had it first.
        address: where it came from.
    """

    label: str
    name: str
    sender: str
    address: str
    cells: dict[str, Cell] = {}

    @property
    def heard(self) -> float:
        return max((cell.heard for cell in self.cells.values()), default=0)


class Roll:
    """The class.

    Attributes:
        known: the course, as exercise → criteria in their order.
        rows: by label.
    """

    def __init__(self, known: Mapping[str, Iterable[Criterion]], rows: Iterable[Row] = ()) -> None:
        self.known = {id_: {each.id: each for each in several} for id_, several in known.items()}
        self.rows = {row.label: row for row in rows if row.heard > time() - DAY}

    def hear(self, letter: Letter, address: str) -> list[tuple[str, str]]:
        """Take in a letter.

        Returns:
            What is another now, as label and exercise; the latter is empty where a learner is
            gone.
        """
        told = letter.news
        if isinstance(told, Gone):
            mine = [row.label for row in self.rows.values() if row.sender == letter.sender]
            return self.forget(mine if letter.sender != HERE else [])
        found = self._found(told) if isinstance(told, Look) else {}
        if told.exercise not in self.known or (isinstance(told, Look) and not found):
            return []
        row = self._row(plain(told.learner, MOST_NAME), letter.sender, address)
        if row is None:
            return []
        cell = row.cells.setdefault(told.exercise, Cell())
        cell.heard = time()
        if isinstance(told, Help):
            cell.help = (cell.help or time()) if told.wanted else 0
        else:
            self._look(cell, told, found)
        return [(row.label, told.exercise)]

    def forget(self, labels: Iterable[str]) -> list[tuple[str, str]]:
        """Take learners off the board; whoever is heard of again comes back."""
        return [(label, "") for label in labels if self.rows.pop(label, None)]

    def helped(self, label: str, exercise: str) -> list[tuple[str, str]]:
        """Somebody went there."""
        cell = self.rows[label].cells.get(exercise) if label in self.rows else None
        if cell:
            cell.help = 0
        return [(label, exercise)] if cell else []

    def _found(self, told: Look) -> dict[str, CriterionResult]:
        """What a look says of criteria that there are, in this course's own words."""
        known, found = self.known.get(told.exercise, {}), {}
        for each in told.criteria:
            if one := known.get(each.id):
                found[one.id] = CriterionResult(
                    id=one.id,
                    title=one.title,
                    task=one.task,
                    outcome=each.outcome,
                    points=one.points if each.outcome == "passed" else 0.0,
                    max_points=one.points,
                    expected=each.expected,
                    found=each.found,
                    look=one.look,
                    needs=one.needs,
                    skipped=each.skipped,
                )
        return found

    def _look(self, cell: Cell, told: Look, found: dict[str, CriterionResult]) -> None:
        look = report.make(told.exercise, told.learner, [*found.values()], 0)
        cell.criteria, _ = report.merged(cell.criteria, look)
        passed = {id_ for id_, each in cell.criteria.items() if each.outcome == "passed"}
        on = next((id_ for id_ in self.known[told.exercise] if id_ not in passed), "")
        if on != cell.on or not cell.since:
            cell.on, cell.since = on, time()
        if not on:
            cell.help = 0

    def _row(self, name: str, sender: str, address: str) -> Row | None:
        """Theirs; a new one, unless there are too many."""
        known = [row for row in self.rows.values() if row.name == name]
        for row in known:
            if row.sender == sender:
                return row
        beside = sum(row.address == address for row in self.rows.values())
        crowd = sender != HERE and beside >= MOST_OF_ONE
        if not name or crowd or len(self.rows) >= MOST:
            return None
        label, number = name, 1
        while label in self.rows:
            number += 1
            label = f"{name} ({number})"
        self.rows[label] = Row(label, name, sender, address)
        return self.rows[label]
