"""The open shell in hosts and in containers on hosts, and testinfra's own modules over it."""

from collections.abc import Iterator

import docker
import pytest
from docker.models.containers import Container
from msgspec.structs import replace
from testinfra.host import Host

from conftest import PREFIX
from dockyard import lifecycle
from dockyard.course import load_exercise
from dockyard.errors import LabError
from dockyard.lab import Lab, LabName, containers
from dockyard.shell import Shell
from dockyard.shell import testinfra_host as over  # pytest takes test… for a test
from dockyard.waiting import wait_until

# Together, for they share a lab.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("shell")]

EXERCISE = "02_clustering"
IMAGE = "dockyard/debian:1"


@pytest.fixture(scope="module")
def lab(outer: docker.DockerClient) -> Iterator[Lab]:
    """One host is enough."""
    exercise = load_exercise(EXERCISE)
    one = replace(exercise, lab=replace(exercise.lab, hosts=["node1"], ports=[]))
    learner = f"{PREFIX}shell"
    try:
        yield lifecycle.up(outer, one, learner)
    finally:
        lifecycle.down(outer, LabName(EXERCISE, learner))


@pytest.fixture(scope="module")
def inner(lab: Lab) -> Container:
    """A container on the host."""
    return lab.client("node1").containers.run(IMAGE, ["sleep", "600"], detach=True)


@pytest.fixture
def doomed(lab: Lab) -> Iterator[Shell]:
    """A shell in a container that the test may destroy."""
    made = lab.client("node1").containers.run(IMAGE, ["sleep", "600"], detach=True, name="doomed")
    yield Shell(lab.client("node1"), "doomed", "the container on node1")
    made.remove(force=True)


@pytest.fixture
def on_host(outer: docker.DockerClient, lab: Lab) -> Iterator[Shell]:
    shell = Shell(outer, str(containers(outer, lab.name)["node1"].id), "node1")
    yield shell
    shell.close()


@pytest.fixture
def in_container(lab: Lab, inner: Container) -> Iterator[Shell]:
    shell = Shell(lab.client("node1"), str(inner.id), "the container on node1")
    yield shell
    shell.close()


@pytest.fixture(params=["on_host", "in_container"])
def shell(request: pytest.FixtureRequest) -> Shell:
    """Both kinds of shell: the second speaks TLS, to the engine on the host."""
    return request.getfixturevalue(request.param)


def test_what_a_command_leaves(shell: Shell) -> None:
    done = shell.run("echo out; echo err >&2; exit 3")
    assert (done.status, done.stdout, done.stderr) == (3, b"out\n", b"err\n")


def test_commands_do_not_reach_each_other(shell: Shell) -> None:
    shell.run("cd /tmp; set -e; word=mine; exec 1>&2; exit 1")
    assert shell.run("pwd; echo $word; false; echo on").stdout == b"/\n\non\n"


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("true", b""),
        ("printf 'no newline'", b"no newline"),
        ("printf '\\n\\n'", b"\n\n"),
        ("printf '\\000\\377\\001\\r\\n\\200'", b"\x00\xff\x01\r\n\x80"),
        ("echo 'žluťoučký kůň 🐳'", "žluťoučký kůň 🐳\n".encode()),
        ('echo "it\'s" \'"quoted"\' # and a comment', b'it\'s "quoted"\n'),
        ("cat; echo no input", b"no input\n"),
        ("cat <<end\nlines\nend", b"lines\n"),
    ],
)
def test_output_comes_as_it_was_printed(shell: Shell, command: str, printed: bytes) -> None:
    done = shell.run(command)
    assert (done.status, done.stdout, done.stderr) == (0, printed, b"")


@pytest.mark.parametrize("where", ["", " >&2"])
def test_much_output_arrives_whole(shell: Shell, where: str) -> None:
    done = shell.run(f"head -c 5000000 /dev/zero | tr '\\000' x{where}; exit 41")
    assert done.status == 41
    assert (done.stdout or done.stderr) == b"x" * 5_000_000


def test_the_status_is_right_however_output_is_cut(shell: Shell) -> None:
    """A frame may end within the mark, or between it and the status."""
    for length in range(32_700, 32_800, 3):
        done = shell.run(f"head -c {length} /dev/zero; exit 123")
        assert (done.status, len(done.stdout)) == (123, length)


@pytest.mark.parametrize("command", ["echo 'open", "echo )", "if", "((", "no-such-program"])
def test_a_broken_command_fails_by_itself(shell: Shell, command: str) -> None:
    done = shell.run(command, timeout=60)
    assert done.status in (2, 127)
    assert done.stderr
    assert shell.run("echo on").stdout == b"on\n"


def test_a_timeout_kills_the_command_and_all_that_it_started(on_host: Shell) -> None:
    here = on_host.run("echo $$").stdout
    with pytest.raises(TimeoutError, match=r"sleep 98765.* on node1 took over 0\.5 s"):
        on_host.run("timeout 98765 sleep 98765 & (sh -c 'sleep 98765; true'); true", timeout=0.5)
    wait_until(lambda: on_host.run("pgrep -f 'sleep 9876[5]'").status == 1, 60)
    assert on_host.run("echo $$").stdout != here


def test_in_a_container_too(in_container: Shell) -> None:
    with pytest.raises(TimeoutError):
        in_container.run("sleep 98765; true", timeout=0.5)
    sleepers = "cat /proc/[0-9]*/cmdline | tr '\\000' ' ' | grep -c 'sleep 9876[5]'"
    wait_until(lambda: in_container.run(sleepers).stdout == b"0\n", 60)


def test_endless_output_is_cut_off_and_named(on_host: Shell) -> None:
    with pytest.raises(LabError, match='"node1": a command printed more than 64 MB'):
        on_host.run("cat /dev/zero")
    wait_until(lambda: on_host.run("pgrep -x cat").status == 1, 60)


def test_a_closed_shell_leaves_no_process(on_host: Shell) -> None:
    pid = on_host.run("echo $$").stdout.decode().strip()
    on_host.close()
    wait_until(lambda: on_host.run(f"[ ! -e /proc/{pid} ]").status == 0, 60)


def test_a_dead_container_is_named(doomed: Shell, lab: Lab) -> None:
    assert doomed.run("true").status == 0
    container = lab.client("node1").containers.get("doomed")
    container.kill()
    for _ in range(2):  # over the shell that was open, and over another
        with pytest.raises(LabError, match='"the container on node1"'):
            doomed.run("true")
    container.start()
    assert doomed.run("true").status == 0


def test_a_container_that_dies_meanwhile_is_named(doomed: Shell) -> None:
    with pytest.raises(LabError, match='"the container on node1"'):
        doomed.run("kill -9 -1; kill 1; sleep 60")


def test_a_container_without_a_shell_is_named(doomed: Shell) -> None:
    doomed.run("rm -f $(readlink -f /bin/sh)")
    doomed.close()
    with pytest.raises(LabError, match='No shell can be had on "the container on node1"'):
        doomed.run("true")


@pytest.fixture
def host(on_host: Shell) -> Host:
    return over(on_host)


@pytest.fixture
def container(in_container: Shell) -> Host:
    return over(in_container)


def test_testinfra_commands(host: Host) -> None:
    done = host.run("printf %s %s; exit 4", "it's", "žluťoučký")
    assert (done.rc, done.failed, done.stdout) == (4, True, "it's")
    assert host.check_output("echo %s", "žluťoučký kůň") == "žluťoučký kůň"
    assert host.exists("dockerd")


def test_testinfra_files(host: Host, container: Host) -> None:
    config = host.file("/etc/docker/daemon.json")
    assert config.is_file
    assert (config.user, config.group, config.mode) == ("root", "root", 0o644)
    assert config.contains("tlsverify")
    assert '"overlay2"' in config.content_string
    assert host.file("/run/docker.sock").is_socket
    assert host.file("/etc/docker/tls/server-key.pem").mode == 0o600
    assert not container.file("/etc/docker").exists
    assert container.file("/etc").is_directory
    assert container.file("/bin").linked_to == "/usr/bin"
    assert host.file("/usr/sbin/dockerd").size > 10**6


def test_testinfra_processes_and_sockets(host: Host) -> None:
    engine = host.process.get(comm="dockerd")
    assert engine.user == "root"
    assert host.process.filter(comm="containerd")
    assert not host.process.filter(comm="nginx")
    assert host.socket("tcp://2376").is_listening
    assert not host.socket("tcp://2375").is_listening
    assert host.socket("unix:///var/run/docker.sock").is_listening


def test_testinfra_interfaces(host: Host) -> None:
    assert host.interface("docker0").exists
    assert host.interface("eth0").addresses
    assert not host.interface("eth7").exists


def test_testinfra_users_and_packages(host: Host, container: Host) -> None:
    for each in (host, container):
        assert each.user("root").uid == 0
        assert not each.user("nobody-at-all").exists
        assert each.package("base-files").is_installed
        assert each.system_info.distribution == "debian"
    assert host.package("iproute2").is_installed
    assert not container.package("iproute2").is_installed
