"""Fixtures of all tests: the outer engine, and labs that always go again."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from playwright.sync_api import Browser

from bench.browser import chromium
from dockyard import course, engine, lifecycle, settings
from dockyard.errors import LabError
from dockyard.lab import Lab, all_names

# A shell that runs us in the background ignores Ctrl-C for us, and for all that tests start.
with suppress(ValueError):  # not in this process's main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Notebooks and shells find our Python and `dockyard` first, as `make lab` sees to it.
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

#: Learners of tests; several pytest processes may run side by side.
PREFIX = f"test-{os.getpid()}-"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that no worker is left alone with one at the end."""

    def cost(item: pytest.Item) -> tuple[bool, bool, int]:
        named = getattr(item, "callspec", None)
        exercise_id = named.params.get("exercise_id") if named else None
        hosts = len(course.load_exercise(exercise_id).lab.hosts) if exercise_id else 1
        return bool(item.get_closest_marker("long")), bool(item.get_closest_marker("lab")), hosts

    items.sort(key=cost, reverse=True)


@pytest.fixture(scope="session")
def outer() -> Iterator[docker.DockerClient]:
    """The outer engine; afterwards, no lab of this test process is left."""
    client = engine.connect()
    yield client
    for name in all_names(client):
        if name.learner.startswith(PREFIX):
            lifecycle.down(client, name)
    for folder in (settings.state_dir() / "progress").glob(f"{PREFIX}*"):
        shutil.rmtree(folder)


@pytest.fixture
def learner(outer: docker.DockerClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a learner whose labs are removed after the test."""
    name = f"{PREFIX}{abs(hash(request.node.nodeid)) % 10**8}"
    yield name
    for lab in all_names(outer, name):
        lifecycle.down(outer, lab)


@pytest.fixture
def fresh_lab(outer: docker.DockerClient, learner: str) -> Callable[[str], Lab]:
    """Starts the learner's lab for an exercise."""
    return lambda exercise_id: lifecycle.up(outer, course.load_exercise(exercise_id), learner)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium, where this machine can have one."""
    try:
        with chromium(tmp_path_factory.mktemp("browser")) as started:
            yield started
    except LabError as error:
        pytest.skip(str(error))
