"""Runs nbgrader: its preprocessors, in its order, on its gradebook.

Not its converters: they write into gradebook and folders before they know how a submission
ends, remove what was there when it ends badly, swallow the reason, and change directory.
Formgrader's buttons do use them, with the same preprocessors: nbgrader_config.py lists them.
"""

import os
import sys
from pathlib import Path
from typing import Any

# A dependency of nbformat that takes 2 s to import, for URL patterns that no schema of Jupyter
# uses (jupyter_server#1559). Only our own processes import this module, never a learner's.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import nbformat  # noqa: E402
from jinja2.bccache import Bucket, BytecodeCache  # noqa: E402
from nbformat import NotebookNode  # noqa: E402
from nbgrader.api import Gradebook, MissingEntry  # noqa: E402
from nbgrader.converters import (  # noqa: E402
    Autograde,
    GenerateAssignment,
    GenerateFeedback,
)
from nbgrader.coursedir import CourseDirectory  # noqa: E402
from nbgrader.preprocessors import SaveCells  # noqa: E402
from traitlets.config.loader import Config, PyFileConfigLoader  # noqa: E402
from traitlets.utils.importstring import import_item  # noqa: E402

from dockyard.classroom.submissions import Submission  # noqa: E402
from dockyard.course import Exercise  # noqa: E402
from dockyard.errors import CourseError  # noqa: E402
from dockyard.settings import course_dir  # noqa: E402


class _Compiled(BytecodeCache):
    """Templates of pages, compiled, for all who make pages in this process."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_compiled = _Compiled()


def exporter(maker: GenerateFeedback) -> Any:
    """What makes a learner's page of a notebook, without preprocessors."""
    made: Any = maker.exporter_class(parent=maker, config=maker.config)  # type: ignore[no-untyped-call]
    made.environment.bytecode_cache = _compiled
    return made


class Course:
    """A course as nbgrader knows it, from nbgrader_config.py.

    Raises:
        CourseError: there is no such file.
    """

    def __init__(self) -> None:
        name, folder = "nbgrader_config.py", str(course_dir())
        if not (course_dir() / name).is_file():
            raise CourseError(f'There is no "{name}" in "{folder}".')
        try:
            self.config: Config = PyFileConfigLoader(name, folder).load_config()
        except Exception as error:  # a file of Python, with a person's mistakes
            raise CourseError(f'"{name}" is broken: {type(error).__name__}: {error}') from None
        self._at = CourseDirectory(config=self.config)
        # For a new gradebook, nbgrader runs `alembic`, and finds it on the path only.
        beside = str(Path(sys.executable).parent)
        if beside not in os.environ.get("PATH", "").split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])

    def learners_copy(self, exercise: Exercise, enter: bool = False) -> str:
        """An exercise's notebook as `nbgrader generate_assignment` makes it: without solutions.

        Args:
            enter: write its cells into the gradebook as well.

        Raises:
            CourseError: the notebook is broken, or does not fit what the gradebook holds.
        """
        steps = GenerateAssignment(config=self.config).preprocessors
        steps = [step for step in steps if enter or step is not SaveCells]
        try:
            nb = nbformat.read(exercise.notebook, 4)  # type: ignore[no-untyped-call]
            nb, _ = self._through(steps, nb, self._resources(exercise.id, "."))
        except Exception as error:  # nbgrader has another kind for each mistake of an author
            raise CourseError(f'"{exercise.notebook.name}" cannot be released: {error}') from None
        return nbformat.writes(nb) + "\n"  # type: ignore[no-untyped-call,no-any-return]

    def enter(self, exercise: Exercise) -> None:
        """Make sure that the gradebook knows the exercise as it is now.

        Raises:
            CourseError: its cells are not those of the submissions that the gradebook holds.
        """
        release = Path(self._at.format_path(self._at.release_directory, ".", exercise.id))
        release.mkdir(parents=True, exist_ok=True)
        with self.gradebook() as gradebook:
            gradebook.update_or_create_assignment(exercise.id)
        copy = self.learners_copy(exercise, enter=True)
        (release / exercise.notebook.name).write_text(copy)

    def autograde(self, submission: Submission) -> dict[str, Any]:
        """Grade one submission; writes nothing unless it gets points.

        Returns:
            What RunInLab leaves: report, remark, seconds.

        Raises:
            SetAside: its notebook is none.
            LabError, EngineError, …: nobody knows what it is worth.
        """
        nb = nbformat.from_dict({"cells": submission.cells()})  # type: ignore[no-untyped-call]
        resources = self._resources(submission.exercise, submission.learner)
        resources["metadata"] = {"path": str(submission.folder)}
        resources["nbgrader"]["timestamp"] = self._handed_in(submission)
        steps = Autograde(config=self.config)
        nb, resources = self._through(steps.sanitize_preprocessors, nb, resources)
        nb, resources = self._through(steps.autograde_preprocessors, nb, resources)
        graded = submission.copy_to(self._folder(self._at.autograded_directory, submission))
        nbformat.write(nb, graded.notebook)  # type: ignore[no-untyped-call]
        return dict(resources["dockyard"])

    def feedback(self, submission: Submission) -> None:
        """Make the learner's page, from gradebook and graded notebook."""
        learner, exercise = submission.learner, submission.exercise
        source = self._folder(self._at.autograded_directory, submission) / submission.notebook.name
        target = self._folder(self._at.feedback_directory, submission) / f"{exercise}.html"
        maker = GenerateFeedback(coursedir=self._at, config=self.config)  # type: ignore[no-untyped-call]
        page_maker = exporter(maker)
        for each in maker.preprocessors:
            page_maker.register_preprocessor(each)
        nb = nbformat.read(source, 4)  # type: ignore[no-untyped-call]
        resources = {**self._resources(exercise, learner), "metadata": {"name": exercise}}
        page, _ = page_maker.from_notebook_node(nb, resources)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(str(page))

    def points(self, exercise: Exercise) -> dict[str, dict[str, float]]:
        """Learner → cell → points as the gradebook has them now; "" for all, less penalties."""
        found: dict[str, dict[str, float]] = {}
        with self.gradebook() as gradebook:
            try:
                submissions = gradebook.assignment_submissions(exercise.id)
            except MissingEntry:
                return {}
            for each in submissions:
                grades = [grade for notebook in each.notebooks for grade in notebook.grades]
                found[each.student.id] = {grade.name: float(grade.score) for grade in grades}
                found[each.student.id][""] = max(0.0, each.score - each.late_submission_penalty)
        return found

    def gradebook(self) -> Any:
        return Gradebook(self._at.db_url, self._at.course_id)

    def _folder(self, step: str, submission: Submission) -> Path:
        return Path(self._at.format_path(step, submission.learner, submission.exercise))

    def _resources(self, exercise: str, learner: str) -> dict[str, Any]:
        names = {"assignment": exercise, "notebook": exercise, "student": learner}
        return {"nbgrader": {**names, "db_url": self._at.db_url}}

    def _through(self, steps: list[Any], nb: NotebookNode, resources: dict[str, Any]) -> Any:
        for step in steps:
            make = import_item(step) if isinstance(step, str) else step
            nb, resources = make(config=self.config)(nb, resources)
        return nb, resources

    def _handed_in(self, submission: Submission) -> Any:
        try:
            return self._at.get_existing_timestamp(str(submission.folder))
        except Exception:  # of another kind for each way to write no date
            return None
