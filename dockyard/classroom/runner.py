"""A preprocessor for nbgrader: has a submission's notebook run, and its lab looked at."""

from base64 import b64encode
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from nbformat import NotebookNode, v4
from nbgrader.preprocessors.base import NbGraderPreprocessor
from traitlets import Integer

from dockyard.classroom import records
from dockyard.classroom.attempt import Answer, Request, attempt, files_beside
from dockyard.classroom.sandbox import Limits, Output
from dockyard.classroom.submissions import SetAside
from dockyard.course import load_exercise
from dockyard.errors import LabError


class RunInLab(NbGraderPreprocessor):
    """Executes a notebook, and leaves the report on its lab in *resources*.

    Raises:
        SetAside: somebody tampered with the lab.
        LabError: nobody knows what the submission is worth.
    """

    timeout = Integer(120, help="Seconds for one cell.").tag(config=True)
    notebook_timeout = Integer(600, help="Seconds for all cells.").tag(config=True)
    #: Here; `dockyard grade` puts its own way to a lab in this place.
    attempt: ClassVar[Any] = staticmethod(attempt)
    #: How many submissions come after this one.
    waiting: ClassVar[int] = 0

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, dict[str, Any]]:
        names = resources["nbgrader"]
        exercise = load_exercise(names["assignment"])
        beside = files_beside(Path(resources["metadata"]["path"]) / exercise.notebook.name)
        request = Request(
            exercise=exercise.id,
            owner=records.owner(),
            cells=nb.cells,
            files={name: b64encode(data).decode() for name, data in beside.items()},
            limits=Limits(self.timeout, self.notebook_timeout),
            waiting=self.waiting,
        )
        answer = msgspec.json.decode(self.attempt(msgspec.json.encode(request)), type=Answer)
        done = answer.outcome
        if done is None:
            self.log.error("%s", answer.log)
            raise LabError(answer.error)
        if done.tampering:
            what = "; ".join(done.tampering)
            raise SetAside(f"its lab was tampered with, so nobody knows its points: {what}")
        resources["dockyard"] = {
            "report": msgspec.structs.replace(done.report, learner=names["student"]),
            "remark": done.remark,
            "scene": done.scene,
            "seconds": done.seconds,
        }
        return _with_outputs(nb, done.outputs), resources


def _with_outputs(nb: NotebookNode, outputs: list[list[Output]]) -> NotebookNode:
    """The notebook with what its cells put out, as text: nothing else of it is shown."""
    nb = deepcopy(nb)
    for cell, shown in zip(nb.cells, outputs, strict=False):
        if cell.cell_type == "code":
            cell.outputs = [node for each in shown if (node := _as_text(each))]
    return nb


def _as_text(output: Output) -> Any:
    new: Any = v4.new_output
    text = "".join(output.text)
    if output.output_type == "stream":
        return new("stream", name="stderr" if output.name == "stderr" else "stdout", text=text)
    if output.output_type == "error":
        fields = {"ename": output.ename, "evalue": output.evalue, "traceback": output.traceback}
        return new("error", **fields)
    plain = output.data.get("text/plain", "")
    return new("display_data", data={"text/plain": "".join(map(str, plain))}) if plain else None
