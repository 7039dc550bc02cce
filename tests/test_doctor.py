"""The doctor on this machine, and on machines that lack something."""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import docker
import psutil
import pytest

from dockyard import engine, lifecycle, room, settings
from dockyard.alone import alone
from dockyard.course import load_exercise
from dockyard.doctor import diagnosis, machine
from dockyard.doctor import outer as outer_engine
from dockyard.doctor.finding import Finding
from dockyard.doctor.trial import LEARNER
from dockyard.errors import LabError
from dockyard.lab import LAB_MARK, LabName, all_names
from dockyard.waiting import wait_until

# Together, for one doctor waits until another is done.
pytestmark = pytest.mark.xdist_group("doctor")

COMMAND = [sys.executable, "-m", "dockyard", "doctor"]
#: The environment of a shell that is not turned to a lab.
OUTSIDE = {name: value for name, value in os.environ.items() if name != LAB_MARK}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**OUTSIDE, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def left(outer: docker.DockerClient) -> list[LabName]:
    """What is left of trials, looked at while no doctor of another test process is at work."""
    with alone("doctor"):
        return all_names(outer, LEARNER)


@pytest.fixture(scope="module")
def findings(outer: docker.DockerClient) -> list[Finding]:
    """Of this machine, with an engine that answers."""
    assert outer.ping()
    return diagnosis.diagnose()


@pytest.mark.lab
def test_this_machine_is_fit_and_nothing_is_left(
    outer: docker.DockerClient, findings: list[Finding]
) -> None:
    assert diagnosis.is_fit(findings), diagnosis.to_text(findings)
    names = [each.name for each in findings]
    assert len(names) == len(set(names))
    assert {"engine", "lab host", "container in it", "image seed", "vxlan", "swarm"} <= set(names)
    assert all(each.mend for each in findings if each.state != "ok")
    lessons = re.compile(r"lesson|0\d_[a-z]+")
    assert [each.name for each in findings if not lessons.search(each.means)] == []
    assert left(outer) == []


@pytest.mark.lab
def test_who_opens_jupyterlab_is_told_only_what_is_amiss(
    outer: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outer.ping()
    assert diagnosis.amiss(print) == ""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    first, second = diagnosis.amiss(print).splitlines()
    assert first.startswith("✗ docker command")
    assert "apt-get install docker-cli" in second


@pytest.mark.lab
def test_a_kernel_without_ipvs_is_a_remark(findings: list[Finding]) -> None:
    mesh = next(each for each in findings if each.name == "routing mesh")
    if engine.find().url.startswith("unix://"):  # the same kernel
        assert mesh.state == ("ok" if Path("/proc/net/ip_vs").exists() else "remark")


def test_a_proxy_in_the_way_of_labs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert machine.proxy().state == "ok"
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert machine.proxy().state == "broken"
    assert "proxy.example:3128" in machine.proxy().found
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    assert machine.proxy().state == "ok"


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("2026-01-02T03:04:05.678901234Z", "ok"),
        ("2026-01-02T03:04:30Z", "ok"),
        ("2026-01-02T05:04:05.67+02:00", "ok"),
        ("2026-01-02T02:04:05.678901234Z", "broken"),
    ],
)
def test_a_clock_that_is_off_is_named(told: str, state: str) -> None:
    now = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
    assert outer_engine.clock(info(SystemTime=told), now).state == state


def test_what_kind_of_engine_it_is() -> None:
    rootless = outer_engine.kind_of_engine(info(SecurityOptions=["name=seccomp", "name=rootless"]))
    assert (rootless.state, rootless.found) == ("remark", "rootless")
    desktop = outer_engine.kind_of_engine(info(OperatingSystem="Docker Desktop"))
    assert "virtual machine" in desktop.means


def info(**told: object) -> dict[str, object]:
    here = {"DockerRootDir": "/", "Name": platform.node(), "MemTotal": 0, "NCPU": 64}
    return {**here, **told}


def test_it_says_how_many_learners_a_machine_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = 3 * room.MEMORY
    free = psutil.virtual_memory()._replace(available=10 * lab + room.REST)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert room.finding(info(), 10).state == "ok"
    eleven = room.finding(info(), 11)
    assert (eleven.state, bool(eleven.mend)) == ("remark", True)
    assert "carries 10 labs of 02_clustering more" in eleven.found
    assert "carries 0 labs" in room.finding(info(DockerRootDir="/nowhere"), 1).found  # elsewhere
    assert "carries 16 labs" in room.finding(info(NCPU=1, MemTotal=10**12, Name=""), 17).found


@pytest.mark.lab
def test_a_lab_that_would_sink_the_others_is_not_started(
    outer: docker.DockerClient, learner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "REST", psutil.virtual_memory().total)
    with pytest.raises(LabError, match=r"GB of memory are free\. 3 hosts would take 0\.6 GB"):
        lifecycle.up(outer, load_exercise("02_clustering"), learner)
    assert all_names(outer, learner) == []


@pytest.mark.lab
def test_json_and_exit_code() -> None:
    done = run("--json")
    rows = json.loads(done.stdout)
    assert done.returncode == 0, rows
    assert set(rows[0]) == {"name", "state", "found", "means", "mend"}


def test_without_an_engine_it_says_so_in_one_line_and_starts_none(tmp_path: Path) -> None:
    done = run(DOCKYARD_ENGINE_HOST="tcp://127.0.0.1:1", DOCKYARD_STATE=str(tmp_path))
    assert done.returncode == 2
    broken = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    assert len(broken) == 1
    assert "tcp://127.0.0.1:1" in broken[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.lab
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_nothing_stays(
    outer: docker.DockerClient, blow: signal.Signals
) -> None:
    process = subprocess.Popen(
        COMMAND,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A test run in the background ignores Ctrl-C, and its children would, too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: all_names(outer, LEARNER) or process.poll() is not None, 120)
    process.send_signal(blow)
    assert process.wait() != 0
    if blow == signal.SIGKILL:  # then the next run clears up
        assert run().returncode == 0
    assert left(outer) == []


@pytest.mark.lab
def test_images_that_are_not_made_are_not_made_by_it(tmp_path: Path) -> None:
    for folder in ("images", "exercises"):
        shutil.copytree(settings.course_dir() / folder, tmp_path / folder)
    with (tmp_path / "images" / "redis" / "Dockerfile").open("a") as recipe:
        recipe.write("# changed\n")
    state = str(settings.state_dir())
    done = run("--json", DOCKYARD_COURSE=str(tmp_path), DOCKYARD_STATE=state)
    host = next(row for row in json.loads(done.stdout) if row["name"] == "lab host")
    assert (host["state"], host["mend"]) == ("remark", "dockyard images")
    assert done.returncode == 0


@pytest.mark.lab
def test_what_an_engine_may_lack(outer: docker.DockerClient) -> None:
    info, here = outer.info(), engine.Endpoint("a test", "unix:///nowhere")
    old = {"Version": "19.03.15+dfsg1", "ApiVersion": "1.40"}
    assert outer_engine.version(old, here).state == "broken"
    assert (
        outer_engine.version({"Version": "20.10.0-rc1", "ApiVersion": "1.41"}, here).state == "ok"
    )
    assert outer_engine.version({"Version": "dev", "ApiVersion": "1.41"}, here).state == "broken"
    assert outer_engine.storage_driver({**info, "Driver": "vfs"}).state == "remark"
    without = outer_engine.cgroups({**info, "PidsLimit": False, "MemoryLimit": False})
    assert (without.state, "memory, pids" in without.found) == ("broken", True)
    assert outer_engine.access_control({"SecurityOptions": ["name=selinux"]}).state == "remark"


def test_little_memory_is_noticed() -> None:
    elsewhere = {"DockerRootDir": "/nowhere", "Name": "another machine"}
    for gigabytes, state in [(0.4, "broken"), (1.5, "remark"), (3, "ok")]:
        assert machine.memory({**elsewhere, "MemTotal": gigabytes * 10**9}).state == state
