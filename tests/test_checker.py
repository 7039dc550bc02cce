"""The checker's own process: what becomes of a check that is interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import docker
import psutil
import pytest
from docker.models.containers import Container

from dockyard import course, lifecycle, settings
from dockyard.waiting import wait_until

EXERCISE = """
title = "A pause"
minutes = 1
lab = { hosts = ["node1"], images = ["debian"] }
tasks = [{ id = "run-it", title = "Run it" }]
"""
#: A criterion that takes something away for as long as it looks, which is two minutes.
GRADER = '''
import pytest

@pytest.mark.criterion(task="run-it", points=1, look="docker ps", disturbs=True)
def test_pauses(lab, expect, wait_until):
    """It is paused"""
    container = lab.client("node1").containers.get("web")
    container.pause()
    try:
        wait_until(lambda: False, 120)
    finally:
        container.unpause()
'''


@pytest.fixture
def small_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    state, images = settings.state_dir(), settings.course_dir() / "images"
    folder = tmp_path / "course"
    (folder / "exercises" / "00_pause").mkdir(parents=True)
    (folder / "exercises" / "00_pause" / "exercise.toml").write_text(EXERCISE)
    (folder / "graders").mkdir()
    (folder / "graders" / "grade_00_pause.py").write_text(GRADER)
    (folder / "images").symlink_to(images)
    monkeypatch.setenv("DOCKYARD_COURSE", str(folder))
    monkeypatch.setenv("DOCKYARD_STATE", str(state))
    return folder


@pytest.fixture
def web(outer: docker.DockerClient, learner: str, small_course: Path) -> Container:  # noqa: ARG001
    lab = lifecycle.up(outer, course.load_exercise("00_pause"), learner)
    run = lab.client("node1").containers.run
    return run("dockyard/debian:1", ["sleep", "600"], name="web", detach=True)


def is_now(web: Container, status: str) -> bool:
    web.reload()
    return web.status == status


def check(learner: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "dockyard", "check", "00_pause", "--learner", learner]
    return subprocess.Popen(command, start_new_session=True)


@pytest.mark.lab
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_check_puts_back_what_it_took(
    learner: str, web: Container, small_course: Path, blow: signal.Signals
) -> None:
    for _ in range(2):
        process = check(learner)
        wait_until(lambda: is_now(web, "paused"), 120)
        os.kill(process.pid, blow)
        assert process.wait(120) != 0
        wait_until(lambda: is_now(web, "running"), 120)
        wait_until(lambda: not processes(small_course), 120)


@pytest.mark.lab
def test_checks_of_one_lab_wait_for_each_other(
    learner: str, web: Container, small_course: Path
) -> None:
    first = check(learner)
    wait_until(lambda: is_now(web, "paused"), 120)
    second = check(learner)
    wait_until(lambda: has_open(second.pid, "check.lock"), 120)
    assert second.poll() is None
    first.send_signal(signal.SIGINT)
    first.wait(120)
    wait_until(lambda: is_now(web, "running"), 120)
    wait_until(lambda: is_now(web, "paused"), 120)
    second.send_signal(signal.SIGINT)
    second.wait(120)
    wait_until(lambda: not processes(small_course), 120)


def has_open(pid: int, name: str) -> bool:
    return any(Path(each.path).name == name for each in psutil.Process(pid).open_files())


def processes(course_folder: Path) -> list[str]:
    """The processes that work on a course."""
    mark = f"DOCKYARD_COURSE={course_folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0") and path.parent.name != str(os.getpid()):
                found.append((path.parent / "cmdline").read_text())
        except OSError:  # it has ended
            continue
    return found
