"""A room in a JupyterHub: two learners in real browsers, with places and labs of their own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import docker
import psutil
import pytest
import requests
from docker.models.containers import Container
from pages import Notebook, solution
from playwright.sync_api import Browser, Page, expect

from dockyard import engine, pinned, seed, settings
from dockyard.hub import places
from dockyard.hub.room import MOST, WORD, Room
from dockyard.lab import SITE_LABEL, LabName, containers, free_ports, is_port_free, slug
from dockyard.lifecycle import down
from dockyard.waiting import wait_until

pytestmark = pytest.mark.lab

ID, TASK = "02_clustering", "form-the-swarm"
ANN, BEN = "ann", "ben"


class Hub(NamedTuple):
    """A hub that runs."""

    process: "subprocess.Popen[str]"
    address: str
    word: str


class Seat(NamedTuple):
    """A learner who has signed in."""

    name: str
    page: Page
    address: str

    def url(self, path: str) -> str:
        return f"{self.address}/user/{self.name}/{path}"


@pytest.fixture
def site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outer: docker.DockerClient
) -> Iterator[str]:
    """An installation of its own, on the same engine; nothing of it stays."""
    monkeypatch.setenv("DOCKYARD_ENGINE_HOST", engine.find().url)
    monkeypatch.setenv("DOCKYARD_STATE", str(tmp_path / "state"))
    yield settings.site()
    for learner in (ANN, BEN):
        down(outer, LabName(ID, learner))
    places.forget(outer)
    seed.remove_all(outer)


@pytest.fixture
def hub(site: str) -> Iterator[Hub]:  # noqa: ARG001 (where it runs)
    started = _start()
    yield started
    started.process.send_signal(signal.SIGINT)
    started.process.communicate(timeout=120 * settings.patience())


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dockyard", *arguments]


def _start(address: str = "") -> Hub:
    port = free_ports(1)[0]
    process = subprocess.Popen(
        _command("hub", "--port", str(port), "--address", address),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if word := re.search(r"first time: (\w+)", line):
            scheme = "https" if address else "http"
            return Hub(process, f"{scheme}://127.0.0.1:{port}", word[1])
    raise AssertionError(said)


def sign_in(browser: Browser, hub: Hub, name: str, word: str | None = None) -> Seat:
    page = browser.new_context(viewport={"width": 1400, "height": 1500}).new_page()
    page.goto(f"{hub.address}/hub/login")
    page.fill("#username_input", name)
    page.fill("#password_input", f"password of {name}")
    page.fill("#otp_input", hub.word if word is None else word)
    page.click("#login_submit")
    return Seat(name, page, hub.address)


def run(place: Container, command: str) -> str:
    """What the learner's terminal says."""
    output = place.exec_run(["timeout", "20", "bash", "-c", f"{command} 2>&1"]).output
    assert isinstance(output, bytes)
    return output.decode()


def first_task(seat: Seat) -> Notebook:
    """Does it, in the browser; returns the page."""
    expect(seat.page).to_have_url(re.compile("/lab/tree/notebooks/start.ipynb"), timeout=120_000)
    notebook = Notebook(seat.page, seat, ID)
    notebook.run("open-the-lab")
    notebook.run("panel")
    total = notebook.panel.locator(".dy-total")
    expect(total).to_contain_text("0 of 27 points", timeout=180_000)
    notebook.run(TASK, solution(ID, TASK))
    expect(total).to_have_text("3 of 27 points", timeout=120_000)
    expect(notebook.thing("node1, manager, leader")).to_be_visible()
    return notebook


def test_two_learners_work_and_neither_reaches_the_others_lab(
    hub: Hub, browser: Browser, outer: docker.DockerClient
) -> None:
    stranger = sign_in(browser, hub, ANN, word="a guess")
    expect(stranger.page.locator(".login_error")).to_contain_text("the room's word")
    odd = sign_in(browser, hub, "ann.b")
    expect(odd.page.locator(".login_error")).to_contain_text("letters a to z")
    seats = [sign_in(browser, hub, name) for name in (ANN, BEN)]
    pages = [first_task(seat) for seat in seats]

    mine, theirs = (outer.containers.get(places.container_name(name)) for name in (ANN, BEN))
    assert "3 of 3 points" in run(mine, f"dockyard check {ID} --task {TASK}")
    _nobody_reaches_another(outer, mine, theirs, seats[0])
    _a_page_of_the_lab_opens(pages[0], seats[0])
    _breaking_and_starting_over(pages[0])
    _a_flood_of_one_stops_nobody(hub, mine, theirs)
    _the_host_resets(outer, mine)


def _nobody_reaches_another(
    outer: docker.DockerClient, mine: Container, theirs: Container, seat: Seat
) -> None:
    own, other = (containers(outer, LabName(ID, name))["node1"] for name in (ANN, BEN))
    address = next(iter(other.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
    knock = "timeout 3 bash -c '</dev/tcp/{}/{}' && echo reached"
    # That the knock can tell: one's own lab does answer.
    assert "reached" in run(mine, knock.format(own.name, 2376))
    assert "reached" not in run(mine, knock.format(other.name, 2376))
    assert "reached" not in run(mine, knock.format(address, 2376))
    # Their JupyterLab, and their lab's ports on the machine.
    theirs.reload()
    for network in theirs.attrs["NetworkSettings"]["Networks"].values():
        assert "reached" not in run(mine, knock.format(network["IPAddress"], 8888))
    gateway = own.attrs["NetworkSettings"]["Networks"][LabName(ID, ANN).prefix]["Gateway"]
    published = other.attrs["NetworkSettings"]["Ports"]["2376/tcp"][0]["HostPort"]
    assert "reached" not in run(mine, knock.format(gateway, published))
    # The desk, the engine, and the hub.
    assert f'"{BEN}" for nobody else' in run(mine, f"dockyard status {ID} --learner {BEN}")
    token = run(theirs, "echo $JUPYTERHUB_API_TOKEN").strip()
    ask = "curl -s -d '{}' -H 'Authorization: token " + f"{token[:-1]}x' $DOCKYARD_DESK/labs"
    assert "does not know this token" in run(mine, ask)
    assert "No such file" in run(mine, "ls /var/run/docker.sock")
    answer = seat.page.request.get(f"{seat.address}/user/{BEN}/api/contents")
    assert answer.status == 403


def _a_page_of_the_lab_opens(notebook: Notebook, seat: Seat) -> None:
    """What a host publishes opens through the hub: a link of the picture, and a printed one."""
    notebook.run(
        TASK,
        'client = lab.client("node1")\n'
        'client.containers.run("dockyard/vote:1", detach=True, ports={"80/tcp": 5000})\n'
        "!curl --silent --output page --retry 60 --retry-delay 1 --retry-all-errors "
        '{lab.url("node1", 5000)}\n'
        'print(lab.url("node1", 5000))',
    )
    link = notebook.page.locator(".jp-OutputArea-output a[href^='http://127.0.0.1:']").first
    with seat.page.context.expect_page() as opened:
        link.click()
    expect(opened.value).to_have_url(re.compile(f"/user/{ANN}/proxy/"))
    expect(opened.value.locator("body")).to_contain_text("vs", ignore_case=True)


def _breaking_and_starting_over(notebook: Notebook) -> None:
    notebook.thing("node3").click()
    notebook.page.get_by_role("button", name="Stop this host").click()
    expect(notebook.unanswering().first).to_be_visible()
    notebook.page.get_by_role("button", name="Start it").click()
    expect(notebook.unanswering()).to_have_count(0, timeout=60_000)


FLOOD = """
import json, os, requests
url, token = os.environ["DOCKYARD_DESK"], os.environ["JUPYTERHUB_API_TOKEN"]
ask = {"headers": {"Authorization": f"token {token}"}, "data": '{"exercise": "%s"}', "stream": True}
lines = [requests.post(f"{url}/events", timeout=60, **ask).iter_lines() for _ in range(100)]
said = [json.loads(next(each)) for each in lines]
print(sum("too much" in each.get("error", "") for each in said), "of", len(said), flush=True)
input()
"""


def _a_flood_of_one_stops_nobody(hub: Hub, mine: Container, theirs: Container) -> None:
    """Calls that stay open are counted for each learner; when they end, their threads are free."""
    processes = psutil.Process(hub.process.pid).children(recursive=True)
    desk = next(each for each in processes if "dockyard.hub.desk" in each.cmdline())
    _flood(mine, theirs)
    threads = desk.num_threads()
    assert "node1" in run(mine, f"dockyard status {ID}")
    _flood(mine, theirs)
    assert desk.num_threads() <= threads + 8


def _flood(mine: Container, theirs: Container) -> None:
    command = ["docker", "exec", "--interactive", str(mine.name), "python3", "-c", FLOOD % ID]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DOCKER_HOST": engine.find().url},
    ) as flood:
        assert flood.stdout
        refused, _, of = flood.stdout.readline().split()
        assert 60 < int(refused) < int(of)
        assert "node1" in run(theirs, f"dockyard status {ID}")
        flood.communicate("\n")


def _the_host_resets(outer: docker.DockerClient, mine: Container) -> None:
    """From the machine; the place is let out of the lab's network, and into the new one."""
    done = subprocess.run(_command("reset", "--all"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f'"{ID}/{ANN}": 3 hosts' in done.stdout
    left = {"label": f"{SITE_LABEL}={settings.site()}"}
    assert outer.containers.list(all=True, filters=left) == []
    assert outer.networks.list(filters=left) == []
    assert "has no lab" in run(mine, f"dockyard status {ID}")


def test_a_hub_ends_with_ctrl_c_and_after_a_kill_another_one_starts(
    site: str, outer: docker.DockerClient
) -> None:
    hub = _start()
    forget = subprocess.run(
        _command("hub", "--forget"), capture_output=True, text=True, check=False
    )
    assert "A hub runs already" in forget.stderr
    command = _command("hub", "--port", str(free_ports(1)[0]))
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    _a_proxy_that_was_killed_leads_to_the_hub_again(hub, outer)
    assert re.fullmatch(r"dockyard: A hub runs already \(process \d+\)\. .*\n", second.stderr)
    hub.process.kill()
    hub.process.wait()
    jupyterhub = int(re.findall(r"process (\d+)", second.stderr)[0])
    os.kill(jupyterhub, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{jupyterhub}").exists(), 30)

    again = _start("127.0.0.1")
    pin = pinned.pin_of((places.state() / "door" / "127.0.0.1.pem").read_bytes())
    assert again.address.startswith("https:")
    door = pinned.connect("127.0.0.1", int(again.address.rpartition(":")[2]), pin, 30)
    door.request("GET", "/hub/login")
    assert b"The room&#39;s word" in door.getresponse().read()
    again.process.send_signal(signal.SIGINT)
    said, _ = again.process.communicate(timeout=120 * settings.patience())
    assert again.process.returncode == 0, said
    label = {"label": f"{places.HUB_LABEL}={site}"}
    assert outer.containers.list(all=True, filters=label) == []
    assert not _processes_of(places.state())


def _a_proxy_that_was_killed_leads_to_the_hub_again(hub: Hub, outer: docker.DockerClient) -> None:
    proxy = outer.containers.get(places.proxy_name())
    os.kill(proxy.attrs["State"]["Pid"], signal.SIGKILL)

    def leads() -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{hub.address}/hub/health", timeout=30).ok
        return False

    wait_until(leads, 60)
    assert outer.containers.get(places.proxy_name()).attrs["RestartCount"] == 1


def test_names_and_passwords_that_cannot_be_are_refused(
    site: str,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = slug("ann.b")
    assert slug(written) not in (written, "ann.b")
    places.state().mkdir(parents=True)
    room = Room()
    assert all(map(room.validate_username, [ANN, "ann-b_2", "a" * MOST]))
    odd = ["", "ann.b", "a b", "ann/../ben", "ann\n", "-kit-", "..", "a" * (MOST + 1), "ané"]
    assert not any(map(room.validate_username, odd))
    monkeypatch.setenv(WORD, "word")
    assert "too long" in room.amiss(ANN, "é" * 40, "word")
    assert "room's word" in room.amiss(ANN, "password", "wörd")
    assert room.amiss(ANN, "password", "word") == ""


def test_a_port_may_be_taken_at_one_address_only() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        assert not is_port_free(port, "127.0.0.2")
        assert is_port_free(port, "127.0.0.3")


def _processes_of(state: Path) -> list[str]:
    """Command lines of processes that work in the hub's folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cwd").readlink().is_relative_to(state):
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_forget_takes_the_homes_too_and_nothing_of_others(
    site: str, outer: docker.DockerClient
) -> None:
    mine = places.home_name(ANN)
    outer.volumes.create(mine, labels=places.labels(ANN))
    foreign = outer.volumes.create(f"dockyard-{site}-home-foreign")
    try:
        done = subprocess.run(
            _command("hub", "--forget"), capture_output=True, text=True, check=True
        )
        assert "Removed 0 places, 1 volume." in done.stdout
        names = [each.name for each in outer.volumes.list()]
        assert mine not in names
        assert foreign.name in names
    finally:
        foreign.remove()
