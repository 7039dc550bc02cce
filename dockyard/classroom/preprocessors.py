"""Preprocessors for nbgrader: what is kept of a submission before it runs, and shown after it.

nbgrader_config.py puts them in their place. Metadata and outputs are never believed.
"""

import json
import re
from typing import Any

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode, v4
from nbgrader.api import Gradebook
from nbgrader.preprocessors.base import NbGraderPreprocessor

from dockyard.course import load_exercise

Step = tuple[NotebookNode, ResourcesDict]


class Restore(NbGraderPreprocessor):
    """Builds the notebook anew: the learner's sources, and all else from the gradebook.

    So copied cells, deleted cells, and metadata of any kind change nothing, and cannot stop
    nbgrader, which refuses a whole class for one "schema_version": 99.
    """

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Step:
        names = resources["nbgrader"]
        with Gradebook(names["db_url"]) as gradebook:
            ours = gradebook.find_notebook(names["notebook"], names["assignment"])
            missing = {cell.name: cell for cell in ours.source_cells}
            cells = []
            for cell in nb.cells:
                source = missing.pop(_grade_id(cell), None)
                kind = source.cell_type if source else cell.cell_type
                cells.append(new_cell(kind, cell.source, _metadata(ours, source)))
            cells += [
                new_cell(source.cell_type, source.source, _metadata(ours, source))
                for source in missing.values()
            ]
        return v4.new_notebook(cells=cells), resources  # type: ignore[no-untyped-call]


class AsText(NbGraderPreprocessor):
    """Leaves nothing of a submission that an instructor's browser would take for HTML."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> Step:
        course = json.loads(load_exercise(resources["nbgrader"]["assignment"]).notebook.read_text())
        self._ours = {"".join(cell["source"]) for cell in course["cells"]}
        return super().preprocess(nb, resources)  # type: ignore[no-any-return,no-untyped-call]

    def preprocess_cell(self, cell: NotebookNode, resources: ResourcesDict, _: int) -> Step:
        if cell.cell_type == "code":
            cell.metadata = {key: cell.metadata[key] for key in cell.metadata if key == "nbgrader"}
        elif cell.source.strip() and cell.source not in self._ours:
            fence = "~" * (3 + max(map(len, re.findall("~+", cell.source)), default=0))
            cell.source = f"{fence}\n{cell.source}\n{fence}"
        return cell, resources


def _grade_id(cell: NotebookNode) -> str:
    theirs = cell.metadata.get("nbgrader")
    grade_id = theirs.get("grade_id") if isinstance(theirs, dict) else None
    return grade_id if isinstance(grade_id, str) else ""


def _metadata(notebook: Any, source: Any) -> dict[str, Any]:
    """The metadata of a cell, from what the gradebook knows of it."""
    if source is None:
        return {}
    points = {cell.name: cell.max_score for cell in notebook.grade_cells}
    known = {
        "schema_version": 3,
        "grade_id": source.name,
        "grade": source.name in points,
        "solution": source.name in {cell.name for cell in notebook.solution_cells},
        "task": False,
        "locked": source.locked,
        "cell_type": source.cell_type,
        "checksum": source.checksum,
    }
    return {"nbgrader": known | {"points": points[source.name]} if known["grade"] else known}


def new_cell(kind: str, source: str, metadata: dict[str, Any]) -> NotebookNode:
    make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}.get(kind, v4.new_raw_cell)
    return make(source, metadata=metadata)  # type: ignore[no-untyped-call,no-any-return]
