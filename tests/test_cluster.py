"""Grading on a Dask cluster: a real one, of two worker processes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import docker
import psutil
import pytest
from distributed import LocalCluster
from toy_course import RUN, RUN_WEB, Course, make_toy_course, toy

from dockyard import settings

pytestmark = pytest.mark.lab


@pytest.fixture
def toy_course(tmp_path: Path) -> Course:
    return make_toy_course(tmp_path)


@pytest.fixture
def cluster(toy_course: Course) -> Iterator[LocalCluster]:
    course = {
        "DOCKYARD_COURSE": str(toy_course.folder),
        "DOCKYARD_STATE": str(settings.state_dir()),
    }
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, env={**os.environ, **course}
    ) as cluster:
        yield cluster


def test_a_class_is_graded_though_a_worker_is_killed(
    cluster: LocalCluster, toy_course: Course, outer: docker.DockerClient
) -> None:
    for name in ("ann", "ben", "cho"):
        toy_course.submit("00_toy", name, toy(f"{RUN}\nimport time\ntime.sleep(3)", RUN_WEB))
    toy_course.submit("00_toy", "dee", "corrupt")
    process = toy_course.start("00_toy", "--dask", cluster.scheduler_address)
    toy_course.host(outer)
    psutil.Process(cluster.workers[0].pid).kill()  # its nanny starts another one
    out, _ = process.communicate()
    said = {row["learner"]: row for row in json.loads(out)}
    assert (process.returncode, said["dee"]["status"]) == (1, "set aside")
    assert [said[name]["points"] for name in ("ann", "ben", "cho")] == [5, 5, 5]
    assert toy_course.left_behind(outer) == []


def test_a_worker_with_another_course_is_refused(
    cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_toy_course(tmp_path_factory.mktemp("other"))
    with (other.folder / "graders" / "grade_00_toy.py").open("a") as grader:
        grader.write("\n# mended\n")
    other.submit("00_toy", "ann", toy(RUN))
    process = other.start("00_toy", "--dask", cluster.scheduler_address)
    _, said = process.communicate()
    assert process.returncode == 2
    assert "it has another version of: grader" in said
    assert "Traceback" not in said


def test_an_address_where_nobody_is_gets_one_line(toy_course: Course) -> None:
    toy_course.submit("00_toy", "ann", toy(RUN))
    process = toy_course.start("00_toy", "--dask", "tcp://127.0.0.1:9")
    _, said = process.communicate()
    assert process.returncode == 2
    assert said.splitlines()[-1] == ('dockyard: No Dask scheduler answers at "tcp://127.0.0.1:9".')
