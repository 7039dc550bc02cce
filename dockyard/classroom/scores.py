"""A preprocessor for nbgrader: writes the points of our report into the gradebook."""

from pathlib import Path
from typing import Any

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode, v4
from nbgrader.api import Gradebook
from nbgrader.preprocessors import SaveAutoGrades
from nbgrader.utils import is_solution

from dockyard import report as reports
from dockyard import timeline
from dockyard.classroom.preprocessors import Step, new_cell
from dockyard.errors import CourseError
from dockyard.picture import as_image
from dockyard.picture.strip import Strip
from dockyard.plural import counted
from dockyard.report import Report

#: A check cell is named after its task.
CHECK = "check-"


class SaveReport(SaveAutoGrades):
    """Writes the points of our report, which RunInLab has left in *resources*."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Step:
        report: Report = resources["dockyard"]["report"]
        names = resources["nbgrader"]
        notebook = names["notebook"], names["assignment"], names["student"]
        timestamp = {"timestamp": names["timestamp"]} if names.get("timestamp") else {}
        with Gradebook(names["db_url"], "dockyard") as gradebook:
            _refuse_other_points(gradebook.find_notebook(*notebook[:2]), report)
            gradebook.update_or_create_student(names["student"])
            gradebook.update_or_create_submission(
                names["assignment"], names["student"], **timestamp
            )
        nb, resources = super().preprocess(nb, resources)
        nb.cells.insert(0, _headline(report, resources["dockyard"]["remark"]))
        nb.cells.insert(1, new_cell("markdown", as_image(resources["dockyard"]["scene"]), {}))
        nb.cells += handed_in(Path(resources["metadata"]["path"]), report)
        return nb, resources

    def _add_score(self, cell: NotebookNode, resources: ResourcesDict) -> None:
        if is_solution(cell):  # an answer in words: a person's to grade
            super()._add_score(cell, resources)
            return
        grade_id = cell.metadata["nbgrader"]["grade_id"]
        part = part_of(resources["dockyard"]["report"], grade_id)
        grade: Any = self.gradebook.find_grade(
            grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        grade.auto_score = part.points
        grade.needs_manual_grade = grade.manual_score is not None  # as nbgrader itself has it
        self.gradebook.db.commit()
        shown = {"text/plain": reports.to_text(part), "text/html": reports.to_html(part)}
        cell.outputs = [v4.new_output("display_data", data=shown)]  # type: ignore[no-untyped-call]


def part_of(report: Report, grade_id: str) -> Report:
    """What a report says of the task that a check cell is for."""
    mine = [each for each in report.criteria if each.task == grade_id.removeprefix(CHECK)]
    return reports.make(report.exercise, report.learner, mine, report.seconds)


def _refuse_other_points(notebook: Any, report: Report) -> None:
    """Raises CourseError where a check cell's points are not those of its task's criteria."""
    answers = {cell.name for cell in notebook.solution_cells}
    for cell in notebook.grade_cells:
        criteria = part_of(report, cell.name).max_points
        if cell.name not in answers and cell.max_score != criteria:
            raise CourseError(
                f'Cell "{cell.name}" of "{report.exercise}" gives {cell.max_score:g} points, its '
                f"criteria give {criteria:g}. Make them the same; nothing was graded."
            )


def _headline(report: Report, remark: str) -> NotebookNode:
    text = f"**{reports.total(report)}**, from what the lab's hosts really did. {remark}\n\n"
    text += "When the notebook was done, the lab was like this:"
    return new_cell("markdown", text, {})


def handed_in(folder: Path, report: Report) -> list[NotebookNode]:
    """What the learner's own machine has recorded, where it was handed in."""
    moments = timeline.read(folder / timeline.HANDED_IN)
    if not moments:
        return []
    minutes, hints = timeline.minutes(moments), sum(each.kind == "hint" for each in moments)
    text = (
        f"**What the learner's machine recorded**: about {counted(minutes, 'minute')} of work, "
        f"{counted(hints, 'hint')}. Nobody has verified it; no points come from it.\n\n"
    )
    strip = Strip(moments, {each.id: each.title for each in report.criteria})
    return [new_cell("markdown", text + strip.as_image(), {})]
