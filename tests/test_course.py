"""The course's own proof: every exercise fails untouched, passes solved, and each near miss
fails its criterion and no unrelated one.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import docker
import msgspec
import pytest
from _pytest.mark import ParameterSet

from dockyard import checker, grading, solution, swarm
from dockyard.course import exercise_ids, load_exercise
from dockyard.lab import Lab, find
from dockyard.report import Report
from dockyard.waiting import wait_until

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
    also: list[str] = []


def near_misses(exercise_id: str) -> list[NearMiss]:
    path = load_exercise(exercise_id).folder / "near_misses.toml"
    if not path.is_file():  # not written yet; that each criterion has one is a test of its own
        return []
    return msgspec.convert(msgspec.toml.decode(path.read_bytes())["near_miss"], list[NearMiss])


def as_parameters(exercise_id: str) -> Iterator[ParameterSet]:
    """An exercise's near misses, each with whether the whole lab is looked at.

    Each criterion's first one is tried in every run, and only its task looked at then: the whole
    takes minutes, for what is taken away in other tasks comes back so slowly.
    """
    proved: set[str] = set()
    thorough = pytest.mark.thorough
    for miss in near_misses(exercise_id):
        name = f"{exercise_id}-{miss.mistake}"
        if miss.criterion not in proved:
            yield pytest.param(exercise_id, miss, False, id=name)
        yield pytest.param(exercise_id, miss, True, id=f"{name}-whole", marks=thorough)
        proved.add(miss.criterion)


ALL_NEAR_MISSES = [each for name in exercise_ids() for each in as_parameters(name)]


@pytest.fixture(params=exercise_ids())
def exercise_id(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_criterion_has_a_near_miss_and_hints(exercise_id: str) -> None:
    exercise = load_exercise(exercise_id)
    missed = {miss.criterion for miss in near_misses(exercise_id)}
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
    exercise_id: str, outer: docker.DockerClient, learner: str, tmp_path: Path,
    fresh_lab: Callable[[str], Lab],
) -> None:  # fmt: skip
    """Other names, other means, no notebook: what counts is what the hosts do."""
    script = (load_exercise(exercise_id).folder / "alternative.sh").read_text()
    fresh_lab(exercise_id)
    bash = shell(outer, exercise_id, learner, tmp_path)
    done = bash(script)
    assert done.returncode == 0, done.stdout + done.stderr
    report = checker.check(load_exercise(exercise_id), learner)
    assert report.passed, problems(report)


@pytest.mark.lab
@pytest.mark.parametrize(("exercise_id", "miss", "whole"), ALL_NEAR_MISSES)
def test_near_miss(
    exercise_id: str, miss: NearMiss, whole: bool,
    outer: docker.DockerClient, learner: str, tmp_path: Path,
) -> None:  # fmt: skip
    exercise = load_exercise(exercise_id)
    of_task = {each.id: each.task for each in grading.criteria(exercise)}
    solution.solve(outer, exercise, learner, miss.after)
    bash = shell(outer, exercise_id, learner, tmp_path)
    done = bash(miss.do)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: bash(miss.until).returncode == 0, 90, miss.until)
    with suppress(TimeoutError):  # some mistakes never come to rest
        swarm.settle(find(outer, exercise, learner), 60)
    report = checker.check(exercise, learner, None if whole else of_task[miss.criterion])

    order = [task.id for task in exercise.tasks]
    by_id = {each.id: each for each in report.criteria}
    reached = order.index(of_task[miss.criterion])
    looked_at = {each.id for each in report.criteria if order.index(each.task) <= reached}
    may_fail = {miss.criterion, *miss.also}
    while more := {each.id for each in report.criteria if may_fail & {*each.needs}} - may_fail:
        may_fail |= more
    assert by_id[miss.criterion].outcome == "failed", problems(report)
    assert miss.found in by_id[miss.criterion].found
    assert looked_at - passed(report) <= may_fail, problems(report)


def shell(
    outer: docker.DockerClient, exercise_id: str, learner: str, folder: Path
) -> Callable[[str], "subprocess.CompletedProcess[str]"]:
    """bash beside a copy of the exercise's files; `on HOST docker …` asks that host."""
    lab = find(outer, load_exercise(exercise_id), learner)
    files = folder / exercise_id
    shutil.copytree(lab.exercise.folder, files)
    hosts = {f"DOCKER_HOST_{host}": lab.address(host) for host in lab.hosts}
    variables = {**os.environ, **lab.environment(lab.hosts[0]), **swarm.modes(lab), **hosts}

    def bash(script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", PROLOGUE + script],
            cwd=files, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return bash


def passed(report: Report) -> set[str]:
    return {each.id for each in report.criteria if each.outcome == "passed"}


def problems(report: Report) -> str:
    return "\n".join(
        f"{each.id}: {each.outcome}, found {each.found}"
        for each in report.criteria
        if each.outcome != "passed"
    )
