"""Which engine is used, and the one that Dockyard runs itself."""

import ctypes
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import psutil
import pytest

from dockyard import bridge, embedded, engine, images, seed, settings
from dockyard.errors import EngineError
from dockyard.waiting import wait_until

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("dockerd"),
    reason="runs a private dockerd: takes root and docker.io",
)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment in which nobody has named an engine, and no embedded one was ever made."""
    for name in list(os.environ):
        if name.startswith(("DOCKER_", "DOCKYARD_", "XDG_RUNTIME")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKYARD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))
    return monkeypatch


def test_docker_host_comes_first(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert [each.url for each in engine.candidates()] == ["tcp://127.0.0.1:1"]


def test_a_named_engine_that_is_silent_is_an_error_and_nothing_is_started(
    clean: pytest.MonkeyPatch,
) -> None:
    clean.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(EngineError, match=r'"tcp://127.0.0.1:1" \(from DOCKER_HOST\)'):
        engine.find()
    assert not embedded.is_installed_here()


def test_in_a_lab_s_shell_the_outer_engine_is_still_found(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("DOCKYARD_LAB", "02_clustering/me")
    clean.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    clean.setenv("DOCKYARD_ENGINE_HOST", "tcp://127.0.0.1:2")
    assert [each.url for each in engine.candidates()] == ["tcp://127.0.0.1:2"]


@pytest.mark.usefixtures("clean")
def test_a_docker_context_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "docker-config"
    meta = folder / "contexts" / "meta" / hashlib.sha256(b"far-away").hexdigest()
    meta.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"currentContext": "far-away"}))
    endpoint = {"Host": "tcp://127.0.0.1:3", "SkipTLSVerify": False}
    description = {"Name": "far-away", "Metadata": {}, "Endpoints": {"docker": endpoint}}
    (meta / "meta.json").write_text(json.dumps(description))
    found = engine.candidates()
    assert [(each.found_by, each.url) for each in found] == [
        ('docker context "far-away"', "tcp://127.0.0.1:3")
    ]


def test_without_root_one_message_says_what_to_do(clean: pytest.MonkeyPatch) -> None:
    clean.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EngineError) as caught:
        embedded.ensure_installed(["unix:///var/run/docker.sock"])
    message = str(caught.value)
    assert "unix:///var/run/docker.sock" in message
    assert "takes root" in message
    assert "DOCKER_HOST" in message
    assert "\n" not in message


def test_on_another_system_one_message_says_what_to_do(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("PATH", "/nowhere")
    with pytest.raises(EngineError, match=r"docs/hosts\.md"):
        embedded.ensure_installed([])


def test_the_socket_s_path_is_short_wherever_the_checkout_is(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("DOCKYARD_STATE", "/very" * 60)
    assert len(str(embedded.socket_path())) < 108
    assert len(bridge.name()) <= 15


@pytest.fixture
def second_engine(clean: pytest.MonkeyPatch) -> Iterator[None]:
    """An embedded engine of another checkout, beside the one that other tests use."""
    clean.setenv("DOCKYARD_ENGINE_HOST", "embedded")
    state = os.environ["DOCKYARD_STATE"]
    engine.connect()
    yield
    clean.setenv("DOCKYARD_STATE", state)  # never the engine of this checkout
    embedded.remove()


@pytest.mark.lab
@needs_root
@pytest.mark.usefixtures("second_engine")
def test_two_checkouts_do_not_collide(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = engine.find()
    rules = packet_filter(checkout := settings.site())
    with clean.context() as other_checkout:
        other_checkout.setenv("DOCKYARD_STATE", str(tmp_path / "another"))
        try:
            other = engine.connect()
            assert other.info()["DockerRootDir"] != mine.client(5).info()["DockerRootDir"]
            mine.client(5).networks.create("made-beside-the-other")
        finally:
            embedded.remove()
    assert packet_filter(checkout) == rules


def packet_filter(site: str) -> list[str]:
    """This machine's packet filter rules for the embedded engine of one checkout."""
    rules = []
    for table in ("filter", "nat"):
        command = ["iptables", "--wait", "-t", table, "-S"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rules += [line for line in listed.splitlines() if f"DOCKYARD-{site}" in line]
    return rules


@pytest.mark.lab
def test_labs_networks_do_not_reach_each_other(outer: docker.DockerClient) -> None:
    near, far = (outer.networks.create(f"apart-{os.getpid()}-{each}") for each in "ab")
    server = outer.containers.run(
        images.ensure(outer, "python"), ["python3", "-m", "http.server", "8000"],
        network=near.name, detach=True,
    )  # fmt: skip
    try:
        listens = ["bash", "-c", "</dev/tcp/127.0.0.1/8000"]
        wait_until(lambda: server.exec_run(listens).exit_code == 0, 60)
        server.reload()
        address = server.attrs["NetworkSettings"]["Networks"][near.name]["IPAddress"]
        for network, reaches in ((near, True), (far, False)):
            knock = f"timeout 5 bash -c '</dev/tcp/{address}/8000' 2>&1 && echo reached; true"
            asked = outer.containers.run(
                server.image, ["sh", "-c", knock], network=network.name, remove=True
            )
            assert (b"reached" in asked) is reaches
    finally:
        server.remove(force=True)
        near.remove()
        far.remove()


METADATA = "169.254.169.254"


def leave_the_machines_network() -> None:
    """Give this thread, and what it starts, a network of its own: no route of ours is at risk."""
    new_network = 0x40000000  # CLONE_NEWNET; Python has os.unshare from 3.12 on
    if ctypes.CDLL(None, use_errno=True).unshare(new_network):
        raise OSError(ctypes.get_errno(), "no network of its own")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@contextmanager
def metadata_server() -> Iterator[None]:
    """A neighbour of this thread's network, as in a cloud: it answers on two ports."""
    space = f"metadata-{os.getpid()}"
    inside = ["ip", "netns", "exec", space]
    subprocess.run(["ip", "netns", "add", space], check=True)
    servers = []
    try:
        for command in (
            f"ip link add near type veth peer name far netns {space}",
            "ip addr add 198.51.100.1/30 dev near",
            "ip link set near up",
            f"ip -n {space} addr add 198.51.100.2/30 dev far",
            f"ip -n {space} addr add {METADATA}/32 dev lo",
            f"ip -n {space} link set lo up",
            f"ip -n {space} link set far up",
            f"ip route add {METADATA}/32 via 198.51.100.2",
        ):
            subprocess.run(command.split(), check=True)
        for port in ("80", "53"):
            serve = [sys.executable, "-m", "http.server", "--bind", METADATA, port]
            servers.append(subprocess.Popen([*inside, *serve], stderr=subprocess.DEVNULL))
        yield
    finally:
        for server in servers:
            server.kill()
            server.wait()
        subprocess.run(["ip", "netns", "delete", space], check=True)


def knock(port: int) -> list[str]:
    return ["timeout", "5", "bash", "-c", f"2>/dev/null </dev/tcp/{METADATA}/{port}"]


def metadata_is_stopped_by_our_rule_only(image: Iterator[bytes]) -> None:
    mine = engine.connect()
    seed.load(mine, image)
    with metadata_server():
        for port in (80, 53):
            wait_until(lambda port=port: subprocess.run(knock(port)).returncode == 0, 30)
        for name in (mine.networks.create("of-a-lab").name, "bridge"):
            lab = mine.containers.run(
                "dockyard/debian:1", ["sleep", "600"], network=name, detach=True
            )
            assert lab.exec_run(knock(80)).exit_code != 0
            assert lab.exec_run(knock(53)).exit_code == 0  # a cloud's name server may be there
            rule = f"DOCKYARD-{settings.site()} -s {bridge._addresses()} -d 169.254.0.0/16 -j DROP"
            subprocess.run(["iptables", "--wait", "-D", *rule.split()], check=True)
            assert lab.exec_run(knock(80)).exit_code == 0
            bridge.ensure()
            lab.remove(force=True)  # an engine that ends would wait for it


@pytest.mark.lab
@needs_root
def test_a_clouds_metadata_is_out_of_reach(
    outer: docker.DockerClient, clean: pytest.MonkeyPatch
) -> None:
    clean.setenv("DOCKYARD_ENGINE_HOST", "embedded")
    image = seed.export(outer, [outer.images.get("dockyard/debian:1")])
    with ThreadPoolExecutor(1, initializer=leave_the_machines_network) as elsewhere:
        try:
            elsewhere.submit(metadata_is_stopped_by_our_rule_only, image).result()
        finally:
            elsewhere.submit(embedded.remove).result()


@pytest.mark.lab
@needs_root
@pytest.mark.usefixtures("second_engine")
def test_a_killed_engine_is_started_again() -> None:
    engine.connect().volumes.create("kept")
    pid = int((embedded.run_dir() / "docker.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not embedded.is_running(), 60)
    assert [volume.name for volume in engine.connect().volumes.list()] == ["kept"]


@pytest.mark.lab
@needs_root
@pytest.mark.usefixtures("second_engine")
def test_an_engine_that_hangs_is_named_and_gets_no_second_one(clean: pytest.MonkeyPatch) -> None:
    pid_file = embedded.run_dir() / "docker.pid"
    pid = int(pid_file.read_text())
    clean.setattr(embedded, "START_TIMEOUT", 2)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(EngineError, match=rf"process {pid}\) does not answer"):
            embedded.ensure_running()
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(embedded.is_running, 60)
    assert int(pid_file.read_text()) == pid


@pytest.mark.lab
@needs_root
@pytest.mark.usefixtures("second_engine")
def test_one_container_goes_and_the_others_still_reach_out(outer: docker.DockerClient) -> None:
    """A bridge without an address of its own takes a container's, and loses it with it."""
    mine = engine.connect()
    seed.load(mine, seed.export(outer, [outer.images.get("dockyard/debian:1")]))
    wait = {"image": "dockyard/debian:1", "command": ["sleep", "600"], "detach": True}
    there = [mine.containers.run(**wait) for _ in range(3)]
    gateway = str(bridge._addresses()[1])  # type: ignore[index]
    refused = ["timeout", "5", "bash", "-c", f"</dev/tcp/{gateway}/9"]
    try:
        while there:
            for container in there:
                answer = container.exec_run(refused).output
                assert b"Connection refused" in answer
            there.pop(0).remove(force=True)
    finally:
        for container in there:
            container.remove(force=True)


@pytest.mark.lab
@needs_root
@pytest.mark.usefixtures("second_engine")
def test_stop_leaves_no_process_bridge_or_socket() -> None:
    network = engine.connect().networks.create("of-somebody")
    links = [Path("/sys/class/net") / each for each in (bridge.name(), f"br-{network.id[:12]}")]
    assert all(each.exists() for each in links)
    assert packet_filter(settings.site())
    embedded.stop()
    assert not any(each.exists() for each in links)
    assert not packet_filter(settings.site())
    assert not embedded.run_dir().exists()
    folder = str(embedded.data_dir())
    assert not [line for line in command_lines() if folder in line]
    embedded.stop()  # twice is fine
    engine.connect().networks.get("of-somebody")
    assert all(each.exists() for each in links)


def command_lines() -> list[str]:
    """Of this machine's processes."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended
            found.append(" ".join(process.cmdline()))
    return found


@needs_root
@pytest.mark.usefixtures("clean")
def test_remove_leaves_no_mount_and_no_folder() -> None:
    """A dockerd that ends leaves the network of `--network host` mounted below its run folder."""
    left = [embedded.run_dir() / "exec/netns/default", embedded.data_dir() / "data/netns"]
    for path in left:
        path.parent.mkdir(parents=True)
        path.touch()
        subprocess.run(["mount", "--bind", "/proc/self/ns/net", path], check=True)
    embedded.remove()
    mounted = Path("/proc/mounts").read_text()
    assert [path for path in left if str(path) in mounted] == []
    assert not embedded.run_dir().exists()
    assert not embedded.data_dir().exists()


@pytest.mark.lab
@needs_root
def test_the_log_is_shown_when_it_does_not_come_up(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("DOCKYARD_ENGINE_HOST", "embedded")
    embedded.data_dir().mkdir(parents=True)
    (embedded.data_dir() / "data").write_text("a file where a folder should be")
    with pytest.raises(EngineError, match=r"(?s)did not come up.*points to a file"):
        engine.connect()
    embedded.remove()
