"""Imported once, by the process from which workers are forked: what is done here, none does again.

nbgrader imports for seconds, and with its first notebook it compiles tables, schemas, patterns
and templates for longer than it then works.
"""

import gc

from nbformat import v4
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.orm import configure_mappers

from dockyard.classroom import gradebook, runner, scores  # noqa: F401  # what workers import

#: Cells of each kind, and what they show.
NOTEBOOK = [
    ("new_markdown_cell", "**text**", {}),
    ("new_code_cell", "1", {"outputs": [v4.new_output("display_data", {"text/html": "<p>1</p>"})]}),  # type: ignore[no-untyped-call]
]
#: What the page's head shows of it.
NOTHING = {"score": 0, "max_score": 0, "late_penalty": 0}


def warm_up() -> None:
    """Make one page of a notebook that says nothing."""
    configure_mappers()
    maker = GenerateFeedback(coursedir=CourseDirectory())  # type: ignore[no-untyped-call]
    cells = [getattr(v4, make)(source, **more) for make, source, more in NOTEBOOK]
    exporter = gradebook.exporter(maker)
    page = v4.new_notebook(cells=cells), {"nbgrader": NOTHING}  # type: ignore[no-untyped-call]
    exporter.from_notebook_node(*page)


warm_up()
gc.collect()
gc.freeze()  # or the collector would write to these pages, and each worker take a copy of them
