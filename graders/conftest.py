"""The nouns of the graders, as fixtures.

The checker adds: `lab` (hosts and their SDK clients), `on_host` and `in_container` (testinfra),
`expect` and `wait_until`.
"""

from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

from balancer import Balancer
from confinement import Confinement
from container_logs import ContainerLogs
from containers import Containers
from images import Images
from log_store import LogStore
from networks import Networks
from notes import Notes
from swarm import Swarm
from volumes import Volumes
from voting_app import VotingApp


@pytest.fixture
def swarm(lab: Any, wait_until: Callable[..., Any]) -> Swarm:
    return Swarm(lab, wait_until)


@pytest.fixture
def app(lab: Any, wait_until: Callable[..., Any]) -> VotingApp:
    return VotingApp(lab, wait_until)


@pytest.fixture
def containers(
    lab: Any, on_host: Callable[[str], Host], wait_until: Callable[..., Any]
) -> Containers:
    return Containers(lab, on_host, wait_until)


@pytest.fixture
def images(lab: Any, on_host: Callable[[str], Host]) -> Images:
    return Images(lab, on_host)


@pytest.fixture
def confinement(
    containers: Containers, on_host: Callable[[str], Host], wait_until: Callable[..., Any]
) -> Confinement:
    return Confinement(containers, on_host, wait_until)


@pytest.fixture
def log_store(containers: Containers, swarm: Swarm, wait_until: Callable[..., Any]) -> LogStore:
    return LogStore(containers, swarm, wait_until)


@pytest.fixture
def networks(
    lab: Any,
    containers: Containers,
    on_host: Callable[[str], Host],
    wait_until: Callable[..., Any],
) -> Networks:
    return Networks(lab, containers, on_host, wait_until)


@pytest.fixture
def balancer(
    lab: Any,
    swarm: Swarm,
    app: VotingApp,
    on_host: Callable[[str], Host],
    wait_until: Callable[..., Any],
) -> Balancer:
    return Balancer(lab, swarm, app, on_host, wait_until)


@pytest.fixture
def container_logs(
    lab: Any,
    containers: Containers,
    on_host: Callable[[str], Host],
    wait_until: Callable[..., Any],
) -> ContainerLogs:
    return ContainerLogs(lab, containers, on_host, wait_until)


@pytest.fixture
def notes(containers: Containers, wait_until: Callable[..., Any]) -> Notes:
    return Notes(containers, wait_until)


@pytest.fixture
def volumes(
    containers: Containers, on_host: Callable[[str], Host], wait_until: Callable[..., Any]
) -> Volumes:
    return Volumes(containers, on_host, wait_until)
