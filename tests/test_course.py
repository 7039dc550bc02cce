"""The course's own proof: every exercise fails untouched, passes solved, and each near miss
fails its criterion and no unrelated one.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from _pytest.mark import ParameterSet

from dockyard import checker, grading, solution, swarm
from dockyard.course import exercise_ids, load_exercise
from dockyard.lab import Lab
from dockyard.report import Report
from dockyard.waiting import wait_until

Bash = Callable[[str], "subprocess.CompletedProcess[str]"]
PROLOGUE = """
set -euo pipefail
on() { local address=DOCKER_HOST_$1; shift; DOCKER_HOST=${!address} "$@"; }
"""


class NearMiss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A state that fails one criterion."""

    criterion: str
    mistake: str
    after: str
    do: str
    found: str
    #: A bash condition that comes true when the mistake shows.
    until: str = "true"
    #: Tasks of a service come and go for ever, so nobody waits until they have settled.
    restless: bool = False
    also: list[str] = []
    #: What takes back what `restore` leaves; bash beside the solved files.
    undo: str = ""
    #: It cannot be taken back, so it has a lab of its own.
    alone: bool = False


class NearMisses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Those of an exercise, in the order of its tasks."""

    near_miss: list[NearMiss] = []
    #: Brings a lab back to the solution, so that one does for several; bash beside its files.
    restore: str = ""


def near_misses(exercise_id: str) -> NearMisses:
    path = load_exercise(exercise_id).folder / "near_misses.toml"
    if not path.is_file():  # not written yet; that each criterion has one is a test of its own
        return NearMisses()
    return msgspec.toml.decode(path.read_bytes(), type=NearMisses)


def as_parameters(exercise_id: str) -> Iterator[ParameterSet]:
    """An exercise's near misses for one lab, and whether the whole of it is looked at.

    Each criterion's first one is tried in every run, and only its task looked at then: the whole
    takes minutes, for what is taken away in other tasks comes back so slowly. Those that can be
    taken back share a lab, for to solve a swarm's tasks takes longer than to look at them.
    """
    known = near_misses(exercise_id)
    first = {miss.criterion: miss for miss in reversed(known.near_miss)}
    every = [miss for miss in known.near_miss if miss is first[miss.criterion]]
    shared = [miss for miss in every if known.restore and not miss.alone]
    if shared:
        name, long = f"{exercise_id}-one after another", pytest.mark.long
        yield pytest.param(exercise_id, shared, False, id=name, marks=long)
    for miss in every:
        if miss not in shared:
            yield pytest.param(exercise_id, [miss], False, id=f"{exercise_id}-{miss.mistake}")
    for miss in known.near_miss:
        name, thorough = f"{exercise_id}-{miss.mistake}-whole", pytest.mark.thorough
        yield pytest.param(exercise_id, [miss], True, id=name, marks=thorough)


ALL_NEAR_MISSES = [each for name in exercise_ids() for each in as_parameters(name)]


@pytest.fixture(params=exercise_ids())
def exercise_id(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_criterion_has_a_near_miss_and_hints(exercise_id: str) -> None:
    exercise = load_exercise(exercise_id)
    missed = {miss.criterion for miss in near_misses(exercise_id).near_miss}
    criteria = grading.criteria(exercise)
    assert missed == {each.id for each in criteria}
    hints = exercise.hints()
    assert set(hints) == missed
    assert all(2 <= len(steps) <= 3 for steps in hints.values())
    assert all("{found}" in steps[0] for steps in hints.values())


def test_an_exercise_is_big_enough(exercise_id: str) -> None:
    exercise = load_exercise(exercise_id)
    criteria = grading.criteria(exercise)
    assert {each.task for each in criteria} == {task.id for task in exercise.tasks}
    assert len(criteria) >= 8
    assert all(each.points > 0 for each in criteria)
    assert sum(each.probe or each.disturbs for each in criteria) * 3 >= len(criteria)


def test_notebook_points_are_the_criteria_s(exercise_id: str) -> None:
    exercise = load_exercise(exercise_id)
    points = {task.id: 0.0 for task in exercise.tasks}
    for criterion in grading.criteria(exercise):
        points[criterion.task] += criterion.points
    cells = msgspec.json.decode(exercise.notebook.read_bytes())["cells"]
    nbgrader = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    graded = {each["grade_id"]: each["points"] for each in nbgrader if each.get("grade")}
    assert graded == {f"check-{task}": total for task, total in points.items()}


@pytest.mark.lab
def test_untouched_gives_nothing(
    exercise_id: str, learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    fresh_lab(exercise_id)
    report = checker.check(load_exercise(exercise_id), learner)
    assert report.points == 0, problems(report)
    assert {each.outcome for each in report.criteria} <= {"failed", "blocked"}


@pytest.mark.lab
@pytest.mark.long
def test_each_task_gives_its_points(
    exercise_id: str, learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    """Task after task in one lab: what `solve --to` does, without starting over."""
    exercise = load_exercise(exercise_id)
    fresh_lab(exercise_id)
    solved: set[str] = set()
    with solution.Solver(exercise, learner) as solver:
        for task in exercise.tasks:
            solver.solve(task.id)
            solved.add(task.id)
            report = checker.check(exercise, learner)
            should = {each.id for each in report.criteria if each.task in solved}
            assert passed(report) == should, f"after {task.id}:\n{problems(report)}"
    assert report.passed


@pytest.mark.lab
def test_an_alternative_gives_all_points(
    exercise_id: str, learner: str, tmp_path: Path, fresh_lab: Callable[[str], Lab]
) -> None:
    """Other names, other means, no notebook: what counts is what the hosts do."""
    script = (load_exercise(exercise_id).folder / "alternative.sh").read_text()
    lab = fresh_lab(exercise_id)
    run(shell(lab, own_files(lab, tmp_path)), script)
    report = checker.check(load_exercise(exercise_id), learner)
    assert report.passed, problems(report)


@pytest.mark.lab
@pytest.mark.parametrize(("exercise_id", "misses", "whole"), ALL_NEAR_MISSES)
def test_near_misses(
    exercise_id: str, misses: list[NearMiss], whole: bool,
    learner: str, tmp_path: Path, fresh_lab: Callable[[str], Lab],
) -> None:  # fmt: skip
    lab = fresh_lab(exercise_id)
    bash = shell(lab, own_files(lab, tmp_path))
    tasks = iter(task.id for task in lab.exercise.tasks)
    solved = ""
    with solution.Solver(lab.exercise, learner) as solver:
        for miss in misses:
            while solved != miss.after:
                solved = next(tasks)
                solver.solve(solved)
            make(miss, lab, bash)
            assert_failed(miss, lab, whole)
            if miss is not misses[-1]:  # the next one's look at its task shows that it is mended
                run(shell(lab, solver.files), f"{near_misses(exercise_id).restore}\n{miss.undo}")
                swarm.settle(lab)


def make(miss: NearMiss, lab: Lab, bash: Bash) -> None:
    run(bash, miss.do)
    wait_until(lambda: bash(miss.until).returncode == 0, 120, miss.until)
    if not miss.restless:
        with suppress(TimeoutError):  # what is wrong may keep it from ever being calm
            swarm.settle(lab, 60)


def assert_failed(miss: NearMiss, lab: Lab, whole: bool) -> None:
    """The miss's criterion fails, and no unrelated one up to its task."""
    of_task = {each.id: each.task for each in grading.criteria(lab.exercise)}
    task = None if whole else of_task[miss.criterion]
    report = checker.check(lab.exercise, lab.name.learner, task)
    said = f"{miss.mistake}:\n{problems(report)}"
    order = [task.id for task in lab.exercise.tasks]
    by_id = {each.id: each for each in report.criteria}
    reached = order.index(of_task[miss.criterion])
    looked_at = {each.id for each in report.criteria if order.index(each.task) <= reached}
    may_fail = {miss.criterion, *miss.also}
    while more := {each.id for each in report.criteria if may_fail & {*each.needs}} - may_fail:
        may_fail |= more
    assert by_id[miss.criterion].outcome == "failed", said
    assert miss.found in by_id[miss.criterion].found, said
    assert looked_at - passed(report) <= may_fail, said


def own_files(lab: Lab, folder: Path) -> Path:
    """A copy of the exercise's files, as learners get them."""
    return Path(shutil.copytree(lab.exercise.folder, folder / lab.exercise.id))


def shell(lab: Lab, files: Path) -> Bash:
    """bash beside files; `on HOST docker …` asks that host."""
    hosts = {f"DOCKER_HOST_{host}": lab.address(host) for host in lab.hosts}
    variables = {**os.environ, **lab.environment(lab.hosts[0]), **swarm.modes(lab), **hosts}

    def bash(script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", PROLOGUE + script],
            cwd=files, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return bash


def run(bash: Bash, script: str) -> None:
    done = bash(script)
    assert done.returncode == 0, done.stdout + done.stderr


def passed(report: Report) -> set[str]:
    return {each.id for each in report.criteria if each.outcome == "passed"}


def problems(report: Report) -> str:
    return "\n".join(
        f"{each.id}: {each.outcome}, found {each.found}"
        for each in report.criteria
        if each.outcome != "passed"
    )
