"""Labs come, go, and are repaired; nothing that is not ours is touched."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import docker
import pytest
import requests

from dockyard import checker, lifecycle
from dockyard.course import load_exercise
from dockyard.errors import LabError
from dockyard.lab import Lab, LabName, containers, free_ports, side_by_side

pytestmark = pytest.mark.lab

ID = "02_clustering"
EXERCISE = load_exercise(ID)


def dockyard(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "dockyard", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_up_twice_is_one_lab(outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]) -> None:
    lab = fresh_lab(ID)
    ids = {host: each.id for host, each in containers(outer, lab.name).items()}
    again = fresh_lab(ID)
    assert {host: each.id for host, each in containers(outer, again.name).items()} == ids
    assert again.ports == lab.ports


def test_hosts_are_limited_and_locked(
    outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab(ID)
    for host, container in containers(outer, lab.name).items():
        config = container.attrs["HostConfig"]
        assert not config["Privileged"]
        assert config["Memory"] == 2**30
        assert config["PidsLimit"] == 2048
        assert config["NanoCpus"] > 0
        addresses = {each["HostIp"] for ports in config["PortBindings"].values() for each in ports}
        assert addresses == {"127.0.0.1"}
        ca = str(lab.name.keys / "ca.pem")
        with pytest.raises(requests.exceptions.ConnectionError):  # no certificate, no answer
            requests.get(f"https://{lab.address(host)[6:]}/_ping", verify=ca, timeout=5)


def test_images_are_there_and_cannot_be_spoilt(
    outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab(ID)
    tags = {tag for image in lab.client("node2").images.list() for tag in image.tags}
    assert {f"dockyard/{name}:1" for name in EXERCISE.lab.images} <= tags

    there = containers(outer, lab.name)["node2"]
    remount = there.exec_run(["mount", "-o", "remount,rw", "/seed"])
    touch = there.exec_run(["touch", "/seed/overlay2/spoilt"])
    assert touch.exit_code != 0, remount.output
    output = lab.client("node2").containers.run(
        "dockyard/redis:1", ["redis-cli", "--version"], remove=True
    )
    assert b"redis" in output


def test_reset_keeps_addresses_and_nothing_else(
    outer: docker.DockerClient, learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab(ID)
    lab.client("node1").volumes.create("work")
    fresh, went = lifecycle.reset(outer, EXERCISE, learner)
    assert went.hosts == 3
    assert fresh.ports == lab.ports
    assert lab.client("node1").volumes.list() == []  # the same client: keys have stayed, too


def test_one_host_is_no_hosts() -> None:
    assert str(lifecycle.Removed("a/me", 1, 1, 1)) == '"a/me": 1 host, 1 volume, 1 network'
    assert str(lifecycle.Removed("a/me", 3, 0, 2)) == '"a/me": 3 hosts, 0 volumes, 2 networks'


def test_down_twice(outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]) -> None:
    lab = fresh_lab(ID)
    assert lifecycle.down(outer, lab.name).hosts == 3
    again = lifecycle.down(outer, lab.name)
    assert (again.hosts, again.volumes, again.networks) == (0, 0, 0)
    assert not lab.name.keys.exists()


def test_two_remove_one_lab_at_once(
    outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab(ID)
    side_by_side(lambda _: lifecycle.down(outer, lab.name), range(4))
    again = lifecycle.down(outer, lab.name)
    assert (again.hosts, again.volumes, again.networks) == (0, 0, 0)


def test_a_killed_host_comes_back_with_its_work(
    outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab(ID)
    lab.client("node2").volumes.create("work")
    containers(outer, lab.name)["node2"].kill()
    fresh_lab(ID)
    assert [volume.name for volume in lab.client("node2").volumes.list()] == ["work"]


def test_half_made_hosts_are_made_anew(
    outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab(ID)
    name = containers(outer, lab.name)["node3"].name
    containers(outer, lab.name)["node3"].remove(force=True)
    outer.api.create_container("dockyard/host:1", name=name,
                               labels={**lab.name.labels(), "dockyard.host": "node3"})  # fmt: skip
    assert fresh_lab(ID).client("node3").ping()


def test_who_fell_behind_is_brought_to_the_end_of_a_task(
    learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    first, second = load_exercise("00_images").tasks[:2]
    fresh_lab("00_images").client("node1").containers.create("dockyard/debian:1", name="mine")
    process = dockyard("reset", "00_images", "--to", first.id, "--learner", learner)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, output + errors
    assert f'as it is after "{first.id}"' in errors
    assert re.search(r"Nothing else was touched\. It took \d+\.\d s\.", output)
    exercise = load_exercise("00_images")
    assert checker.check(exercise, learner, first.id).passed
    assert not checker.check(exercise, learner, second.id).passed


def test_a_reset_to_no_exercises_task_is_refused_before_anything_is_touched(learner: str) -> None:
    for arguments in (["--to", "no-task"], ["00_images", "--to", "no-task"]):
        process = dockyard("reset", *arguments, "--learner", learner)
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 1
        assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("verb", ["up", "reset", "down"])
def test_interrupted_at_any_moment(
    outer: docker.DockerClient, learner: str, verb: str, signal_number: signal.Signals
) -> None:
    """The same command again works, and `down` leaves nothing."""
    name = LabName(ID, learner)
    if verb != "up":
        lifecycle.up(outer, EXERCISE, learner)
    for delay in (0.5, 0.8, 1.2, 1.7):
        process = dockyard(verb, ID, "--learner", learner)
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        process.communicate()
    process = dockyard(verb, ID, "--learner", learner)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, output + errors
    if verb != "down":
        assert all(
            lifecycle.up(outer, EXERCISE, learner).client(h).ping() for h in EXERCISE.lab.hosts
        )
        lifecycle.down(outer, name)
    filters = name.filters()
    assert outer.containers.list(all=True, filters=filters) == []
    assert outer.networks.list(filters=filters) == []
    assert outer.volumes.list(filters=filters) == []


def test_a_taken_port_is_named(outer: docker.DockerClient, fresh_lab: Callable[[str], Lab]) -> None:
    lab = fresh_lab(ID)
    containers(outer, lab.name)["node1"].remove(force=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", lab.ports["node1"][5000]))
        taken.listen()
        with pytest.raises(LabError, match=r'uses a port of lab host "node1"') as caught:
            fresh_lab(ID)
    assert str(lab.ports["node1"][5000]) in str(caught.value)
    assert fresh_lab(ID).client("node1").ping()


def test_a_host_that_dies_while_it_starts_shows_its_log(
    outer: docker.DockerClient, learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab(ID)
    node = containers(outer, lab.name)["node1"]
    node.exec_run(["sh", "-c", "echo broken > /etc/docker/daemon.json"])
    node.kill()
    with pytest.raises(LabError, match=r'(?s)"node1" stopped.*daemon\.json'):
        fresh_lab(ID)
    lifecycle.reset(outer, EXERCISE, learner)
    assert lab.client("node1").ping()


def test_check_of_a_dead_host_is_an_error_that_names_it(
    outer: docker.DockerClient, learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab(ID)
    containers(outer, lab.name)["node2"].kill()
    process = dockyard("check", ID, "--learner", learner, "--json")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 2
    report = json.loads(output)
    assert report["points"] is None
    assert any('"node2"' in each["found"] for each in report["criteria"])


def test_hosts_killed_during_a_check_are_an_error(
    outer: docker.DockerClient, learner: str, fresh_lab: Callable[[str], Lab]
) -> None:
    lab = fresh_lab(ID)
    node1 = containers(outer, lab.name)["node1"]
    process = dockyard("check", ID, "--learner", learner, "--json")
    node1.kill()
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 2, output + errors
    assert "node1" in output + errors


def test_labs_without_a_seed_load_their_images(
    outer: docker.DockerClient, learner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKYARD_IMAGES_BY", "load")
    lab = lifecycle.up(outer, EXERCISE, learner)
    output = lab.client("node3").containers.run(
        "dockyard/redis:1", ["redis-cli", "--version"], remove=True
    )
    assert b"redis" in output


def test_two_labs_never_have_a_port_in_common(
    outer: docker.DockerClient, learner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while neither listens yet: there are just as many ports as two labs take."""
    exercise = load_exercise("00_images")
    needed = (1 + len(exercise.lab.ports)) * len(exercise.lab.hosts)
    free = sorted(free_ports(2 * needed, lifecycle._taken_ports(outer)))
    monkeypatch.setattr("dockyard.lab.PORTS", free)
    names = [LabName(exercise.id, f"{learner}-{each}") for each in "ab"]
    try:
        networks = side_by_side(
            lambda name: lifecycle._ensure_network(outer, exercise, name, sealed=False), names
        )
        labels = [json.loads(each.attrs["Labels"]["dockyard.ports"]) for each in networks]
        ports = [port for hosts in labels for each in hosts.values() for port in each.values()]
        assert sorted(ports) == free
        with pytest.raises(LabError, match="no 1 free ports"):
            free_ports(1, free)
    finally:
        for name in names:
            lifecycle.down(outer, name)
