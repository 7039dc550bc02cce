"""Sealed labs: the course can be done in them, nothing leads out, and tampering shows."""

import json
from collections.abc import Iterator

import docker
import msgspec
import pytest

from dockyard.classroom import tampering
from dockyard.classroom.attempt import Answer, Request, attempt
from dockyard.classroom.places import Places
from dockyard.classroom.sandbox import Limits
from dockyard.course import exercise_ids, load_exercise
from dockyard.lab import Lab, containers
from dockyard.waiting import wait_until

pytestmark = pytest.mark.lab


@pytest.fixture
def sealed(learner: str) -> Iterator[Lab]:
    with Places(load_exercise("00_images"), learner).take(waiting=0) as place:
        yield place.lab


@pytest.mark.thorough
@pytest.mark.parametrize("exercise_id", exercise_ids())
def test_a_solution_handed_in_gets_all_points(exercise_id: str, learner: str) -> None:
    cells = json.loads(load_exercise(exercise_id).notebook.read_text())["cells"]
    cells = [{**cell, "source": "".join(cell["source"])} for cell in cells]
    request = Request(exercise_id, learner, cells, {}, Limits(120, 600))
    done = msgspec.json.decode(attempt(msgspec.json.encode(request)), type=Answer).outcome
    assert done
    assert done.report.passed, [each for each in done.report.criteria if not each.points]
    assert done.tampering == []


def test_a_host_that_takes_the_gate_for_a_router_gets_nowhere(
    outer: docker.DockerClient, sealed: Lab
) -> None:
    host = containers(outer, sealed.name)["node1"]
    gate = outer.containers.get(f"{sealed.name.prefix}-gate").attrs["NetworkSettings"]["Networks"]
    way, machine = gate[sealed.name.prefix]["IPAddress"], gate["bridge"]["Gateway"]
    assert host.exec_run(f"ip route replace default via {way}").exit_code == 0
    knock = ["timeout", "3", "bash", "-c", f"echo > /dev/tcp/{machine}/22"]
    done = host.exec_run(knock)
    assert done.exit_code
    assert b"refused" not in done.output  # the machine itself would have said so


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        ("cp /bin/true /usr/bin/ps", 'on "node1" there is a changed "/usr/bin/ps"'),
        ("cp /bin/sleep /tmp/miner; /tmp/miner 60 &", 'on "node1" there is a process "miner"'),
        ("kill -9 $(pidof dockerd)", 'the engine of "node1" was started anew'),
    ],
)
def test_tampering_shows(outer: docker.DockerClient, sealed: Lab, command: str, sign: str) -> None:
    before = tampering.look(outer, sealed)
    assert tampering.signs(outer, sealed, before) == []
    containers(outer, sealed.name)["node1"].exec_run(["sh", "-c", command])
    wait_until(lambda: sign in tampering.signs(outer, sealed, before), 60)
