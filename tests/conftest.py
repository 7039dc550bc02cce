"""Fixtures of all tests: the outer engine, and labs that always go again."""

import os
from collections.abc import Callable, Iterator

import docker
import pytest

from dockyard import course, engine, lifecycle
from dockyard.lab import Lab, all_names

#: Learners of tests; several pytest processes may run side by side.
PREFIX = f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}-"


@pytest.fixture(scope="session")
def outer() -> Iterator[docker.DockerClient]:
    """The outer engine; afterwards, no lab of this test process is left."""
    client = engine.connect()
    yield client
    for name in all_names(client):
        if name.learner.startswith(PREFIX):
            lifecycle.down(client, name)


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
