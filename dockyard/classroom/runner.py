"""Runs a submission's notebook in a fresh lab, then has that lab looked at from outside.

The one place where a submission's code is started. Today its kernel is a process of the
instructor's own; see docs/instructors.md for what that means.
"""

import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from nbformat import NotebookNode
from nbgrader.preprocessors import Execute
from traitlets import Integer

from dockyard import checker
from dockyard.classroom.records import lab_learner
from dockyard.classroom.workplace import differ, fresh_lab, kernel_environment, workplace
from dockyard.course import Exercise, load_exercise
from dockyard.errors import LabError
from dockyard.report import Report


class RunInLab(Execute):
    """Executes a notebook, and leaves the report on its lab in *resources*.

    Raises:
        LabError, EngineError, …: nobody knows what the submission is worth.
    """

    timeout = Integer(120, help="Seconds for one cell.").tag(config=True)
    notebook_timeout = Integer(600, help="Seconds for all cells.").tag(config=True)
    # nbclient's 4 seconds would end a notebook because the machine is busy.
    iopub_timeout = 60
    shutdown_kernel = "immediate"

    def preprocess(
        self,
        nb: NotebookNode,
        resources: Any = None,
        km: Any = None,  # noqa: ARG002  # nbclient's signature
    ) -> tuple[NotebookNode, dict[str, Any]]:
        names = resources["nbgrader"]
        exercise = load_exercise(names["assignment"])
        learner = lab_learner(names["student"])
        submitted = Path(resources["metadata"]["path"])
        self._clock = Clock()
        done = self._attempt(nb, exercise, learner, [exercise.folder, submitted])
        if done.stumbled and differ(exercise.folder, submitted):
            # Cells that change a file stumble over one that they have changed already.
            again = self._attempt(nb, exercise, learner, [submitted, exercise.folder])
            if again.points > done.points:
                done = again
                done.remark = f"Started from the exercise's own files. {done.remark}".strip()
        resources["dockyard"] = {
            "report": msgspec.structs.replace(done.report, learner=names["student"]),
            "remark": done.remark,
            "seconds": self._clock.seconds,
        }
        return done.nb, resources

    def _attempt(
        self, nb: NotebookNode, exercise: Exercise, learner: str, files: list[Path]
    ) -> "Attempt":
        """Run the notebook in a fresh lab, beside *files*, and look at the lab."""
        nb = deepcopy(nb)
        checker.warm_up()
        with fresh_lab(exercise, learner) as self._lab:
            self._clock.lap("lab")
            with workplace(exercise, files) as folder:
                remark = self._run(nb, {"metadata": {"path": str(folder)}})
            # The kernel has ended. What it detached from itself, the sandbox will end.
            self._clock.lap("notebook")
            report = checker.check(exercise, learner)
            self._clock.lap("check")
        self._clock.lap("removal")
        if report.points is None:
            raise LabError(report.errors[0].found)
        return Attempt(nb, report, remark)

    def _run(self, nb: NotebookNode, resources: dict[str, Any]) -> str:
        """Execute all cells; says what an instructor should know, if anything."""
        self._at: int | None = None
        self._end = time.monotonic() + self.notebook_timeout
        self.timeout_func = lambda _: max(1, min(self.timeout, int(self._end - time.monotonic())))
        try:
            super().preprocess(nb, resources)
        except Exception as error:
            if self._at is None:
                raise LabError(f"The kernel did not start: {error}") from error
            self.log.warning("The notebook stopped", exc_info=True)
            return f"The notebook stopped at cell {self._at + 1}: {type(error).__name__}."
        if time.monotonic() > self._end:
            return f"The notebook was ended after {self.notebook_timeout} seconds."
        return ""

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> Any:
        if time.monotonic() > self._end:
            return cell, resources
        self._at = index
        return super().preprocess_cell(cell, resources, index)  # type: ignore[no-untyped-call]

    def start_new_kernel(self, **kwargs: Any) -> None:
        """Where the sandbox will go: it takes this environment and this folder, and no more."""
        home = Path(self.resources["metadata"]["path"]).parent
        super().start_new_kernel(**kwargs, env=kernel_environment(self._lab, home))


@dataclass
class Attempt:
    """A notebook that was run, and what was found then."""

    nb: NotebookNode
    report: Report
    remark: str

    @property
    def points(self) -> float:
        return self.report.points or 0.0

    @property
    def stumbled(self) -> bool:
        """Whether points are missing, and a cell ended with an error."""
        outputs = [each for cell in self.nb.cells for each in cell.get("outputs", [])]
        return not self.report.passed and any(each.output_type == "error" for each in outputs)


class Clock:
    """Where the time went."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - self._last, 2)
        self._last = now
