"""A run that is killed again and again comes to the same as one that nobody disturbs."""

import random
import subprocess
from contextlib import suppress
from pathlib import Path

import docker
import psutil
import pytest
from toy_course import RUN, RUN_WEB, Course, make_toy_course, toy

MIX = [toy(RUN, RUN_WEB), toy(RUN), toy(RUN_WEB), toy(), "corrupt", toy("import os; os._exit(1)")]


@pytest.mark.lab
@pytest.mark.long
@pytest.mark.parametrize(
    ("submissions", "kills"), [(6, 3), pytest.param(100, 10, marks=pytest.mark.thorough)]
)
def test_kill_9_at_random_moments(
    submissions: int, kills: int, outer: docker.DockerClient, tmp_path: Path
) -> None:
    calm, disturbed = make_toy_course(tmp_path / "calm"), make_toy_course(tmp_path / "disturbed")
    for course in (calm, disturbed):
        for number in range(submissions):
            course.submit("00_toy", f"learner-{number:03}", MIX[number % len(MIX)])
    assert calm.grade("00_toy", "--workers", "3")[0] == 1  # some are set aside
    chance = random.Random(submissions)  # noqa: S311  # not for secrets
    while kills:
        process = disturbed.start("00_toy", "--workers", "3")
        while kills and runs_on(process, chance.uniform(0.5, 6)):
            kill_one_of(process, chance)
            kills -= 1
        if kills:  # it has ended by itself: begin anew
            process.communicate()
            for report in disturbed.grading.glob("reports/*/*.json"):
                report.unlink()
        else:
            process.kill()
            process.communicate()
    assert disturbed.grade("00_toy", "--workers", "3")[0] == 1
    assert disturbed.table.read_bytes() == calm.table.read_bytes()
    assert disturbed.left_behind(outer) == []
    assert processes_of(disturbed) == []
    assert not (disturbed.grading / "tmp").exists()


def runs_on(process: "subprocess.Popen[str]", seconds: float) -> bool:
    """Whether it still runs after that time: kills come when they come."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.poll() is None


def kill_one_of(process: "subprocess.Popen[str]", chance: random.Random) -> None:
    """The run itself, a worker of it, its checker, or whatever else it has started."""
    family = psutil.Process(process.pid).children(recursive=True)
    with suppress(psutil.NoSuchProcess):
        chance.choice([psutil.Process(process.pid), *family]).kill()


def processes_of(course: Course) -> list[str]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("DOCKYARD_COURSE") == str(course.folder):
                found.append(" ".join(process.cmdline()))
    return found
