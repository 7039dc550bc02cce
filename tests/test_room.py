"""Labs of two learners on one machine: neither sees the other's."""

from collections.abc import Callable, Iterator

import docker
import pytest
import requests

from dockyard import lifecycle
from dockyard.course import load_exercise
from dockyard.lab import Lab, containers
from dockyard.waiting import wait_until

pytestmark = pytest.mark.lab

ID = "00_images"


@pytest.fixture
def other(outer: docker.DockerClient, learner: str) -> Iterator[Lab]:
    lab = lifecycle.up(outer, load_exercise(ID), f"{learner}-other")
    yield lab
    lifecycle.down(outer, lab.name)


@pytest.fixture
def mine(fresh_lab: Callable[[str], Lab]) -> Lab:
    return fresh_lab(ID)


def inside(outer: docker.DockerClient, lab: Lab, command: str) -> str:
    """What a shell on the lab's first host says."""
    host = containers(outer, lab.name)[lab.hosts[0]]
    output = host.exec_run(["bash", "-c", command]).output
    assert isinstance(output, bytes)
    return output.decode()


def address(outer: docker.DockerClient, lab: Lab) -> str:
    attrs = containers(outer, lab.name)[lab.hosts[0]].attrs
    return str(next(iter(attrs["NetworkSettings"]["Networks"].values()))["IPAddress"])


def test_one_learners_certificate_opens_no_lab_of_another(mine: Lab, other: Lab) -> None:
    url = f"https://127.0.0.1:{other.ports['node1'][2376]}/version"
    keys = mine.name.keys
    pair = (str(keys / "cert.pem"), str(keys / "key.pem"))
    with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
        requests.get(url, cert=pair, verify=str(other.name.keys / "ca.pem"), timeout=10)
    theirs = (str(other.name.keys / "cert.pem"), str(other.name.keys / "key.pem"))
    assert requests.get(url, cert=theirs, verify=str(other.name.keys / "ca.pem"), timeout=10).ok


def test_one_learners_hosts_do_not_reach_anothers(
    outer: docker.DockerClient, mine: Lab, other: Lab
) -> None:
    for lab, reached in ((mine, ""), (other, "reached")):
        knock = f"timeout 3 bash -c '</dev/tcp/{address(outer, other)}/2376' && echo reached"
        assert inside(outer, lab, f"{knock} 2>/dev/null").strip() == reached


def test_names_lead_to_ones_own_hosts(outer: docker.DockerClient, mine: Lab, other: Lab) -> None:
    for lab in (mine, other):
        known = wait_until(lambda lab=lab: inside(outer, lab, "getent hosts node1").split(), 60)
        assert known[0] == address(outer, lab)
    theirs = containers(outer, other.name)["node1"].name
    assert inside(outer, mine, f"getent hosts {theirs}") == ""


def test_what_one_makes_the_other_does_not_have(mine: Lab, other: Lab) -> None:
    client = mine.client("node1")
    client.volumes.create("votes")
    client.networks.create("front")
    client.images.get("dockyard/debian:1").tag("mine:1")
    assert other.client("node1").volumes.list() == []
    assert "front" not in [each.name for each in other.client("node1").networks.list()]
    assert "mine:1" not in [
        tag for each in other.client("node1").images.list() for tag in each.tags
    ]
    assert set(mine.ports["node1"].values()).isdisjoint(other.ports["node1"].values())
