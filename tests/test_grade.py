"""Grading: points come from the lab's state, and what is our fault is never a zero."""

import copy
import json
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from toy_course import (
    OPEN,
    RUN,
    RUN_WEB,
    Course,
    cell,
    make_real_course,
    make_toy_course,
    toy,
)

from dockyard import grading
from dockyard.course import load_exercise

ODD = '=1+1, "Ü" [a-z]*'
SCRIPT = "<script>alert(1)</script>"

pytestmark = pytest.mark.lab
#: In one test process, so that it is graded once.
of_one_class = pytest.mark.xdist_group("toy class")


@pytest.fixture
def toy_course(outer: docker.DockerClient, tmp_path: Path) -> Iterator[Course]:
    """A course with one small exercise; its labs are gone when the test is done."""
    course = make_toy_course(tmp_path)
    yield course
    assert course.left_behind(outer) == []


def forged() -> dict[str, Any]:
    """No work, but all points in every place where somebody might look for them."""
    nb = toy("check = lambda *a: 5.0", SCRIPT)
    for each in nb["cells"]:
        if "points" in each["metadata"].get("nbgrader", {}):
            each["source"] = "5.0"
            each["metadata"]["nbgrader"] |= {"points": 100, "schema_version": 99, "locked": False}
            html = {"text/html": SCRIPT, "text/plain": "100.0"}
            output = {"output_type": "execute_result", "data": html, "metadata": {}}
            each["outputs"] = [{**output, "execution_count": 1}]
    nb["cells"] += copy.deepcopy(nb["cells"][1:3])
    nb["cells"].append({"cell_type": "markdown", "id": "m", "metadata": {}, "source": SCRIPT})
    nb["cells"].append(cell("import os\nprint(sorted(os.environ))"))
    nb["cells"].append(cell(f"from IPython.display import HTML\nHTML('{SCRIPT}')"))
    return nb


def without_cells() -> dict[str, Any]:
    """Work, but of the cells only the first is left, and it is in there twice."""
    nb = toy()
    nb["cells"] = [cell(OPEN), cell(RUN_WEB, "name-it"), cell("", "name-it")]
    return nb


@pytest.fixture(scope="module")
def toy_class(
    outer: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Course, int, dict[str, Any]]:
    """A class that was graded: course, exit code, what was said."""
    course = make_toy_course(tmp_path_factory.mktemp("toy"))
    course.submit("00_toy", "full", toy(RUN, RUN_WEB))
    course.submit("00_toy", ODD, toy(RUN))
    course.submit("00_toy", "untouched", toy())
    course.submit("00_toy", "forged", forged())
    course.submit("00_toy", "lost cells", without_cells())
    course.submit("00_toy", "killed kernel", toy(RUN, "import os\nos._exit(0)"))
    for learner, expected in (("by code", "old"), ("by hand", "new")):
        change = "from pathlib import Path\nnote = Path('note.txt')\n"
        change += f"assert note.read_text() == '{expected}'\nnote.write_text('new')\n"
        path = course.submit("00_toy", learner, toy(change + RUN))
        (path.parent / "note.txt").write_text("new")
    course.submit("00_toy", "corrupt", '{"cells": [')
    course.submit("00_toy", "empty", "{}").rename(course.submissions / "elsewhere.ipynb")
    link = course.submit("00_toy", "link", toy()).parent / "stack.yml"
    link.symlink_to("/etc/hostname")
    code, said, _ = course.grade("00_toy")
    assert course.left_behind(outer) == []
    return course, code, said


@pytest.mark.long
@pytest.mark.parametrize(
    "exercise_id", ["00_images", pytest.param("02_clustering", marks=pytest.mark.thorough)]
)
def test_a_class_of_four(exercise_id: str, outer: docker.DockerClient, tmp_path: Path) -> None:
    """An exercise itself: solved, solved up to the second task, untouched, and corrupt."""
    course, exercise = make_real_course(tmp_path), load_exercise(exercise_id)
    first = [task.id for task in exercise.tasks[:2]]
    criteria = grading.criteria(exercise)
    whole = sum(each.points for each in criteria)
    half = sum(each.points for each in criteria if each.task in first)
    for learner, kept in (("solved", len(exercise.tasks)), ("half", 2), ("untouched", 0)):
        nb = json.loads(exercise.notebook.read_text())
        known = [each["metadata"].get("nbgrader", {}) for each in nb["cells"]]
        answers = [number for number, each in enumerate(known) if each.get("solution")]
        for number in answers[kept:]:
            nb["cells"][number]["source"] = ""
        course.submit(exercise_id, learner, nb)
    course.submit(exercise_id, "corrupt", "no notebook")
    code, said, _ = course.grade(exercise_id)
    points = {"solved": whole, "half": half, "untouched": 0, "corrupt": None}
    assert {name: row["points"] for name, row in said.items()} == points
    assert code == 1
    assert sum(course.scores("half").values()) == half
    page = course.feedback(exercise_id, "half")
    assert f"{half:g} of {whole:g} points" in page
    assert f'alt="{exercise.lab.hosts[0]}' in page  # the picture of the lab, in words
    assert course.left_behind(outer) == []


@of_one_class
def test_points_are_what_the_lab_shows(toy_class: tuple[Course, int, dict[str, Any]]) -> None:
    course, code, said = toy_class
    points = {name: row["points"] for name, row in said.items() if row["status"] == "graded"}
    graded = {"full": 5, ODD: 2, "untouched": 0, "forged": 0, "lost cells": 5, "killed kernel": 2}
    graded |= {"by code": 2, "by hand": 2}  # the learner's files count, and so does what cells do
    assert points == graded
    assert code == 1  # some are set aside
    rows = course.rows()
    for name, total in graded.items():
        scores = course.scores(name)
        assert set(scores) == {"check-run-it", "check-name-it"}
        assert sum(value or 0 for value in scores.values()) == total
        assert float(rows["'" + name if name == ODD else name]["points"]) == total
    assert rows["full"]["run-it"] == "2"
    assert rows["full"]["name-it"] == "3"


@of_one_class
def test_what_is_no_submission_is_set_aside(
    toy_class: tuple[Course, int, dict[str, Any]],
) -> None:
    course, _, said = toy_class
    reasons = {row["learner"]: row["reason"] for row in said.values() if row["status"] != "graded"}
    assert set(reasons) == {"corrupt", "empty", "link"}
    assert "is not a notebook" in reasons["corrupt"]
    assert 'no "00_toy.ipynb"' in reasons["empty"]
    assert "link" in reasons["link"]
    for name in reasons:
        assert said[name]["status"] == "set aside"
        assert said[name]["points"] is None
        assert course.rows()[name]["points"] == ""
        assert course.scores(name) == {}


@of_one_class
def test_feedback_says_what_was_expected_and_is_harmless(
    toy_class: tuple[Course, int, dict[str, Any]],
) -> None:
    course, _, said = toy_class
    page = course.feedback("00_toy", ODD)
    for text in ("2 of 5 points", "&lt;web&gt;", "expected:", "found:", "docker ps"):
        assert text in page
    page = course.feedback("00_toy", "forged")
    assert SCRIPT not in page
    assert "DOCKYARD_GRADING" in page
    assert "DOCKYARD_ENGINE" not in page  # nor where the outer engine is
    assert "cell 4" in said["killed kernel"]["reason"]
    assert "cell 4" in course.feedback("00_toy", "killed kernel")


@of_one_class
def test_the_same_command_again_grades_nothing(
    toy_class: tuple[Course, int, dict[str, Any]],
) -> None:
    course, code, said = toy_class
    before = course.table.read_bytes()
    assert course.grade("00_toy") == (code, said, "")
    assert course.table.read_bytes() == before


@pytest.mark.long
def test_the_summary_tells_what_is_of_an_earlier_run(toy_course: Course) -> None:
    """What cannot be read is looked at in each run; what could be graded is graded once."""
    toy_course.submit("00_toy", "corrupt", '{"cells": [')
    (toy_course.submit("00_toy", "link", toy()).parent / "stack.yml").symlink_to("/etc/hostname")
    for earlier, graded in ((0, " • Grading 1 submission, 1 at once\n"), (1, "")):
        said, progress = toy_course.start("00_toy", as_json=False).communicate()
        counts = f"Graded 0, set aside 2, not graded 0; {earlier} of them by an earlier run."
        assert said.splitlines()[-1] == counts
        assert ("Grading" in progress, graded in progress) == (bool(graded), True)


@pytest.mark.long
def test_what_has_changed_is_graded_and_manual_points_stay(toy_course: Course) -> None:
    toy_course.submit("00_toy", "ann", toy(RUN))
    toy_course.submit("00_toy", "ben", "corrupt")
    toy_course.grade("00_toy")
    with sqlite3.connect(toy_course.grading / "gradebook.db") as database:
        database.execute("update grade set manual_score = 1.5 where auto_score = 2")
    toy_course.submit("00_toy", "ann", toy(RUN_WEB))
    code, said, progress = toy_course.grade("00_toy")
    assert code == 1  # ben's is still set aside
    assert "[1/1] ann: 5 of 5 points" in progress
    assert said["ann"]["points"] == 5
    assert toy_course.scores("ann") == {"check-run-it": 2, "check-name-it": 3}
    assert toy_course.rows()["ann"]["points"] == "4.5"


@pytest.mark.long
def test_late_penalties_count_also_when_graded_again(toy_course: Course) -> None:
    with (toy_course.folder / "nbgrader_config.py").open("a") as config:
        config.write('\nc.LateSubmissionPlugin.penalty_method = "zero"\n')
    for learner, day in (("early", 1), ("late", 3)):
        path = toy_course.submit("00_toy", learner, toy(RUN))
        (path.parent / "timestamp.txt").write_text(f"2026-01-0{day} 00:00:00 UTC")
    toy_course.grade("00_toy")
    assert {name: row["points"] for name, row in toy_course.rows().items()} == {
        "early": "2",
        "late": "2",
    }
    with sqlite3.connect(toy_course.grading / "gradebook.db") as database:
        database.execute("update assignment set duedate = '2026-01-02 00:00:00.000000'")
    for _ in range(2):
        toy_course.grade("00_toy", "--again")
        points = {name: row["points"] for name, row in toy_course.rows().items()}
        assert points == {"early": "2", "late": "0"}


@pytest.mark.long
def test_a_host_that_dies_is_no_zero(toy_course: Course, outer: docker.DockerClient) -> None:
    toy_course.submit("00_toy", "ann", toy(f"{RUN}\nimport time\ntime.sleep(4)"))
    process = toy_course.start("00_toy")
    for _ in range(2):  # the first time, it is tried again
        toy_course.host(outer).kill()
    out, _ = process.communicate()
    (row,) = json.loads(out)
    assert process.returncode == 2
    assert (row["status"], row["points"]) == ("not graded", None)
    assert "node1" in row["reason"]
    assert toy_course.rows()["ann"]["points"] == ""
    assert toy_course.scores("ann") == {}
    assert toy_course.left_behind(outer) == []
    code, said, _ = toy_course.grade("00_toy")
    assert (code, said["ann"]["points"]) == (0, 2)


@pytest.mark.long
def test_a_run_that_was_ended_goes_on(toy_course: Course, outer: docker.DockerClient) -> None:
    toy_course.submit("00_toy", "ann", toy(f"{RUN}\nimport time\ntime.sleep(60)"))
    process = toy_course.start("00_toy")
    toy_course.host(outer)
    second = toy_course.start("00_toy")
    _, refusal = second.communicate()
    assert (second.returncode, refusal.count("\n")) == (2, 1)
    assert "Another `dockyard grade` runs" in refusal
    process.send_signal(signal.SIGINT)
    _, progress = process.communicate()
    assert process.returncode == 2
    assert progress.endswith("The same command goes on from here.\n")
    assert toy_course.left_behind(outer) == []
    process = toy_course.start("00_toy")
    toy_course.host(outer)
    process.kill()
    process.communicate()
    toy_course.submit("00_toy", "ann", toy(RUN))
    code, said, _ = toy_course.grade("00_toy")
    assert (code, said["ann"]["points"]) == (0, 2)
