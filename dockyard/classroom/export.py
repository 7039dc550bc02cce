"""What came of grading, for terminal, programs and spreadsheets."""

import csv
from pathlib import Path

import msgspec

from dockyard.classroom.records import Record, Result, feedback_of, path_of
from dockyard.course import Exercise
from dockyard.report import total


def outcome(record: Record) -> str:
    """What came of one submission, on one line."""
    if record.report is None:
        return f"{record.status}: {record.reason}".splitlines()[0]
    return ". ".join(filter(None, [total(record.report), record.reason]))


def to_text(result: Result) -> str:
    """The summary of a run; who has no points is named once more."""
    lines = [
        f"{record.learner}: {outcome(record)}"
        for record in result.records
        if record.status != "graded"
    ]
    graded = result.count("graded")
    lines.append(
        f"Graded {graded}, set aside {result.count('set aside')}, "
        f"not graded {result.count('not graded')}; {result.earlier} of them by an earlier run."
    )
    if result.count("not graded"):
        lines.append("The same command again tries those that are not graded.")
    if graded:
        lines.append(f"Feedback: {feedback_of('<learner>', result.records[0].exercise)}")
    return "\n".join(lines)


def to_json(result: Result) -> str:
    """A list with one object for each submission; its report is in the file that it names."""
    rows = [
        {
            "learner": record.learner,
            "exercise": record.exercise,
            "status": record.status,
            "points": record.report.points if record.report else None,
            "max_points": record.report.max_points if record.report else None,
            "reason": record.reason,
            "seconds": record.seconds,
            "report": str(path_of(record.learner, record.exercise)) if record.report else None,
        }
        for record in result.records
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=1).decode()


def write_csv(path: Path, exercise: Exercise, records: list[Record]) -> None:
    """Write points as the gradebook has them now, so also those that a person has set.

    Who has no points gets an empty cell and the reason, never a zero.
    """
    points = {}
    if any(record.status == "graded" for record in records):
        from dockyard.classroom.gradebook import (
            Course,  # nbgrader takes a second, and is not always wanted
        )

        points = Course().points(exercise)
    tasks = [task.id for task in exercise.tasks]
    making = path.with_name(path.name + ".new")
    with making.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["learner", "exercise", "points", "max_points", *tasks, "status", "remark"])
        for record in sorted(records, key=lambda each: each.learner):
            graded = points.get(record.learner, {}) if record.status == "graded" else {}
            cells = [_number(graded.get(f"check-{task}")) for task in tasks]
            most = _number(record.report.max_points if record.report else None)
            row = [record.learner, exercise.id, _number(graded.get("")), most, *cells]
            rows.writerow([_harmless(cell) for cell in [*row, record.status, record.reason]])
    making.replace(path)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _harmless(cell: str) -> str:
    """A spreadsheet would run what begins like a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
