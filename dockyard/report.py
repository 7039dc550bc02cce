"""The outcome of an exercise's criteria, for terminal, notebook, gradebook and programs."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Literal

import msgspec

Outcome = Literal["passed", "failed", "blocked", "error"]

SIGNS: dict[Outcome, str] = {"passed": "✓", "failed": "✗", "blocked": "…", "error": "!"}
COLOURS: dict[Outcome, str] = {
    "passed": "#1a7f37",
    "failed": "#cf222e",
    "blocked": "#6e7781",
    "error": "#9a6700",
}
#: Pages of others, such as formgrader, have no room between the cells of a table.
CELL = '<td style="padding:2px 8px;text-align:left;vertical-align:top">'


class CriterionResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One criterion, looked at once.

    Attributes:
        title: the sentence that is true when it passes.
        expected, found: one line each.
        look: the command with which the learner can see it too.
        needs: ids of criteria without which this one is not tried.
        skipped: it was blocked only because nobody asked for it.
    """

    id: str
    title: str
    task: str
    outcome: Outcome
    points: float
    max_points: float
    expected: str
    found: str
    look: str
    needs: list[str]
    skipped: bool = False


class Step(msgspec.Struct, frozen=True):
    """One criterion, as soon as it was looked at: which of how many in this look."""

    result: CriterionResult
    number: int
    of: int

    def __str__(self) -> str:
        return f"Looked at {self.number} of {self.of} criteria"


#: Gets each criterion as soon as it was looked at.
Tell = Callable[[Step], None]


def nobody(_: Step) -> None:
    """Tell nobody."""


class Report(msgspec.Struct, frozen=True):
    """All criteria of one exercise, or of one task of it, looked at once.

    Attributes:
        points: null when a criterion ended with an error: then nobody knows.
        seconds: how long looking took.
    """

    exercise: str
    learner: str
    points: float | None
    max_points: float
    seconds: float
    criteria: list[CriterionResult]

    @property
    def passed(self) -> bool:
        return self.points == self.max_points

    @property
    def errors(self) -> list[CriterionResult]:
        return [each for each in self.criteria if each.outcome == "error"]


def make(exercise: str, learner: str, criteria: list[CriterionResult], seconds: float) -> Report:
    """Sum up; a single error leaves the total open."""
    unknown = any(each.outcome == "error" for each in criteria)
    return Report(
        exercise=exercise,
        learner=learner,
        points=None if unknown else sum(each.points for each in criteria),
        max_points=sum(each.max_points for each in criteria),
        seconds=round(seconds, 2),
        criteria=criteria,
    )


def merged(
    before: Mapping[str, CriterionResult], found: Report
) -> tuple[dict[str, CriterionResult], set[str]]:
    """A look, and what was known before it.

    Returns:
        Criteria by id, and the ids of those that this look skips, or leaves out: they keep the
        outcome that they had.
    """
    new = {each.id: each for each in found.criteria}
    kept = {
        id_: each
        for id_, each in before.items()
        if not each.skipped and (id_ not in new or new[id_].skipped)
    }
    return {**before, **new, **kept}, set(kept)


def to_json(report: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode()


def from_json(text: str | bytes) -> Report:
    return msgspec.json.decode(text, type=Report)


def total(report: Report) -> str:
    """The bottom line."""
    if report.points is None:
        return "Not graded: Dockyard or the lab is at fault, not you. Nothing is lost; try again."
    return f"{report.points:g} of {report.max_points:g} points"


def to_text(report: Report) -> str:
    lines = []
    task = ""
    for each in report.criteria:
        if each.task != task:
            task = each.task
            lines.append(f"\n{task}")
        points = f"({each.points:g}/{each.max_points:g})"
        lines.append(f"  {SIGNS[each.outcome]} {each.title} {points}")
        lines += [f"      {name}: {text}" for name, text in _details(each)]
    return "\n".join([*lines, "", total(report)]).lstrip("\n")


def to_html(report: Report) -> str:
    """Plain HTML without scripts: what a lab says is shown as text."""
    rows = []
    for each in report.criteria:
        details = "".join(
            f"<div><b>{name}:</b> {_code(text) if name == 'look' else escape(text)}</div>"
            for name, text in _details(each)
        )
        sign = f'<span style="color:{COLOURS[each.outcome]}">{SIGNS[each.outcome]}</span>'
        rows.append(
            f"<tr>{CELL}{sign} {each.outcome}</td>{CELL}{escape(each.title)}{details}</td>"
            f"{CELL}{each.points:g}/{each.max_points:g}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table><p><b>{escape(total(report))}</b></p>"


def _details(each: CriterionResult) -> list[tuple[str, str]]:
    if each.outcome == "passed":
        return []
    if each.outcome == "blocked":
        return [("not tried", each.found)]
    return [("expected", each.expected), ("found", each.found), ("look", each.look)]


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
