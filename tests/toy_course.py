"""A course of one small exercise, with a gradebook of its own, for the tests of grading.

A real lab, but of one host and two tasks, so that many submissions are graded in little time.
"""

import csv
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from dockyard import settings
from dockyard.lab import LEARNER_LABEL
from dockyard.waiting import wait_until

ROOT = Path(__file__).parent.parent
TOY_TOML = """
title = "One container"
minutes = 1

[lab]
hosts = ["node1"]
images = ["debian", "vote", "redis", "worker", "postgres", "result"]

[[tasks]]
id = "run-it"
title = "Run a container"

[[tasks]]
id = "name-it"
title = "Name it"
"""
TOY_GRADER = '''
import pytest

@pytest.mark.criterion(task="run-it", points=2, look="docker ps")
def test_runs(lab, expect):
    """A container runs"""
    running = lab.client("node1").containers.list()
    expect(running, "a container", f"{len(running)} containers")

@pytest.mark.criterion(task="name-it", points=3, look="docker ps", needs=["runs"])
def test_is_called_web(lab, expect):
    """It is called <web>"""
    names = [each.name for each in lab.client("node1").containers.list()]
    expect("web" in names, "<web>", ", ".join(names))
'''
RUN = "!docker run --detach dockyard/debian:1 sleep 600"
RUN_WEB = "!docker run --detach --name web dockyard/debian:1 sleep 600"
OPEN = 'from dockyard import check, open_lab\nlab = open_lab("00_toy")'


def cell(source: str, grade_id: str = "", points: int = 0) -> dict[str, Any]:
    """A cell of a source notebook; with points, a check."""
    known = {"schema_version": 3, "grade_id": grade_id, "locked": bool(points), "task": False}
    known |= {"grade": bool(points), "solution": not points}
    metadata = {"nbgrader": known | ({"points": points} if points else {})} if grade_id else {}
    name = grade_id or f"cell-{abs(hash(source)) % 10**6}"
    code = {"cell_type": "code", "execution_count": None, "outputs": []}
    return {**code, "id": name, "metadata": metadata, "source": source}


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel}
    return {"cells": [*cells], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def toy(run_it: str = "", name_it: str = "") -> dict[str, Any]:
    """A submission for the toy exercise."""
    return notebook(
        cell(OPEN),
        cell(run_it, "run-it"),
        cell('check("00_toy", "run-it")', "check-run-it", 2),
        cell(name_it, "name-it"),
        cell('check("00_toy", "name-it")', "check-name-it", 3),
    )


class Course:
    """A course of its own, with a gradebook of its own, and submissions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.grading = folder / "grading"
        self.submissions = folder / "handed in"
        self.table = folder / "grades.csv"

    def submit(self, exercise: str, learner: str, content: dict[str, Any] | str) -> Path:
        path = self.submissions / learner / exercise / f"{exercise}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def start(self, exercise: str, *options: str, as_json: bool = True) -> "subprocess.Popen[str]":
        """`dockyard grade`, in the course; on the engine of this checkout."""
        variables = {"DOCKYARD_COURSE": str(self.folder)}
        variables["DOCKYARD_STATE"] = str(settings.state_dir())
        command = [sys.executable, "-m", "dockyard", "grade", exercise]
        command += ["--json"] * as_json
        command += ["--submissions", str(self.submissions), "--csv", str(self.table), *options]
        return subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def grade(self, exercise: str, *options: str) -> tuple[int, dict[str, dict[str, Any]], str]:
        """The exit code, what is said of each learner, and the progress."""
        process = self.start(exercise, *options)
        out, progress = process.communicate()
        return process.returncode, {row["learner"]: row for row in json.loads(out)}, progress

    def rows(self) -> dict[str, dict[str, str]]:
        with self.table.open(newline="") as stream:
            return {row["learner"]: row for row in csv.DictReader(stream)}

    def scores(self, learner: str) -> dict[str, float | None]:
        """What nbgrader's gradebook has, asked past nbgrader."""
        query = """
            select base_cell.name, grade.auto_score from grade
            join base_cell on base_cell.id = grade.cell_id
            join submitted_notebook on submitted_notebook.id = grade.notebook_id
            join submitted_assignment on submitted_assignment.id = submitted_notebook.assignment_id
            where submitted_assignment.student_id = ?"""
        with sqlite3.connect(self.grading / "gradebook.db") as database:
            return dict(database.execute(query, [learner]))

    def feedback(self, exercise: str, learner: str) -> str:
        return (self.grading / "feedback" / learner / exercise / f"{exercise}.html").read_text()

    def left_behind(self, engine: docker.DockerClient) -> list[str]:
        """Everything of a grading lab that still exists."""
        filters: dict[str, Any] = {"label": [f"dockyard.site={settings.site()}"]}
        things = engine.api.containers(all=True, filters=filters)
        things += engine.api.networks(filters=filters)
        things += engine.api.volumes(filters=filters)["Volumes"] or []
        owners = [thing["Labels"].get(LEARNER_LABEL, "") for thing in things]
        return [name for name in owners if name.startswith(self.owner())]

    def owner(self) -> str:
        command = "from dockyard.classroom import records; print(records.owner())"
        environment = {**os.environ, "DOCKYARD_COURSE": str(self.folder)}
        return subprocess.check_output(
            [sys.executable, "-c", command], env=environment, text=True
        ).strip()

    def host(self, engine: docker.DockerClient) -> Container:
        """The lab host of the submission that is being graded, once it runs."""
        filters: dict[str, Any] = {"label": "dockyard.host=node1", "status": "running"}
        mine = self.owner()

        def running() -> Container | None:
            found = engine.containers.list(filters=filters, ignore_removed=True)
            return next((c for c in found if c.labels[LEARNER_LABEL].startswith(mine)), None)

        return wait_until(running, 300, "a lab host")


def make_toy_course(folder: Path) -> Course:
    """One host, two tasks: "run-it" with 2 points, "name-it" with 3."""
    exercise = folder / "exercises" / "00_toy"
    exercise.mkdir(parents=True)
    (exercise / "exercise.toml").write_text(TOY_TOML)
    (exercise / "note.txt").write_text("old")
    (exercise / "00_toy.ipynb").write_text(json.dumps(toy(RUN, RUN_WEB)))
    (folder / "graders").mkdir()
    (folder / "graders" / "grade_00_toy.py").write_text(TOY_GRADER)
    return _with_machinery(folder)


def make_real_course(folder: Path) -> Course:
    """This checkout's exercises and graders."""
    for name in ("exercises", "graders"):
        (folder / name).symlink_to(ROOT / name)
    return _with_machinery(folder)


def _with_machinery(folder: Path) -> Course:
    (folder / "images").symlink_to(ROOT / "images")
    (folder / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text())
    return Course(folder)
