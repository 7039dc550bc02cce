"""A learner's place: the container that a JupyterHub starts, as restricted as it is there."""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import docker
import pytest
import requests
from docker.models.containers import Container
from docker.models.volumes import Volume

from dockyard import images
from dockyard.release import release
from dockyard.waiting import wait_until

pytestmark = pytest.mark.lab

COURSE = "/home/learner/course"
STACK = "exercises/02_clustering/stack.yml"
TOKEN = "a-token"  # noqa: S105
LAB = ["jupyter-lab", "--ServerApp.ip=0.0.0.0", "--ServerApp.open_browser=False"]

#: Starts a container with the kit at /kit and, unless it is given another, the same home each time.
Open = Callable[..., Container]


def put(outer: docker.DockerClient, volume: Volume, files: dict[str, bytes]) -> None:
    """Write files into a volume."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    mounts = {volume.name: {"bind": "/volume", "mode": "rw"}}
    container = outer.containers.create("dockyard/debian:1", "true", volumes=mounts)
    try:
        assert container.put_archive("/volume", buffer.getvalue())
    finally:
        container.remove()


@pytest.fixture(scope="module")
def kit_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("place") / "kit"
    release(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def volume(outer: docker.DockerClient) -> Iterator[Callable[[], Volume]]:
    with ExitStack() as made:

        def make() -> Volume:
            new = outer.volumes.create()
            made.callback(new.remove)
            return new

        yield make


@pytest.fixture
def kit(
    outer: docker.DockerClient, volume: Callable[[], Volume], kit_files: dict[str, bytes]
) -> Volume:
    filled = volume()
    put(outer, filled, kit_files)
    return filled


@pytest.fixture
def open_place(
    outer: docker.DockerClient, kit: Volume, volume: Callable[[], Volume]
) -> Iterator[Open]:
    image, home = images.ensure(outer, "learner"), volume()
    with ExitStack() as started:

        def start(command: list[str], **more: object) -> Container:
            options = {
                "volumes": {
                    kit.name: {"bind": "/kit", "mode": "ro"},
                    home.name: {"bind": "/home/learner", "mode": "rw"},
                },
                "environment": {"JUPYTER_TOKEN": TOKEN},
                "ports": {"8888/tcp": ("127.0.0.1", None)},
                "read_only": True,
                "cap_drop": ["ALL"],
                "security_opt": ["no-new-privileges"],
                "tmpfs": {"/tmp": "mode=1777,size=256m"},  # noqa: S108
                **more,
            }
            place = outer.containers.run(image, command, detach=True, **options)
            started.callback(place.remove, force=True, v=True)
            return place

        yield start


def said(place: Container) -> str:
    return place.logs().decode()


def inside(place: Container, command: str) -> str:
    """What a shell in a place says; it must have nothing to complain about."""
    done = place.exec_run(["bash", "-c", command])
    assert done.exit_code == 0, done.output
    assert isinstance(done.output, bytes)
    return done.output.decode().strip()


def address(place: Container) -> str:
    place.reload()
    return f"http://127.0.0.1:{place.ports['8888/tcp'][0]['HostPort']}"


def answers(place: Container) -> bool:
    place.reload()
    assert place.status == "running", said(place)
    try:
        url = f"{address(place)}/api/status"
        return requests.get(url, params={"token": TOKEN}, timeout=30).ok
    except requests.ConnectionError:
        return False


def wait_until_open(place: Container) -> None:
    wait_until(lambda: answers(place), 180, "JupyterLab in a place")


def test_everything_that_a_learner_uses_works_without_any_right(open_place: Open) -> None:
    place = open_place(["infinity"], entrypoint=["sleep"])
    assert inside(place, "id -u") == "10001"
    assert inside(place, "grep -h Cap /proc/self/status | cut -f2 | sort -u") == "0" * 16
    assert (
        inside(place, "! touch /kit/x /opt/learner/x /usr/local/x /etc/x 2>/dev/null; ls ~") == ""
    )
    modules = "dockyard.notebook, dockyard.screen.panel, dockyard.screen.view, dockyard.hints"
    inside(place, f"python -W error::ImportWarning -c 'import {modules}, dockyard.checker'")
    assert inside(place, "python -c 'import dockyard; print(dockyard.__path__[0])'") == (
        "/kit/dockyard"
    )
    assert "/opt/learner/bin/hadolint" in inside(place, "docker --version && command -v hadolint")
    assert "Usage: dockyard " in inside(place, "dockyard --help")


def test_the_command_is_the_courses_also_in_the_learners_copy(open_place: Open) -> None:
    place = open_place(["infinity"], entrypoint=["sleep"])
    inside(place, "mkdir ~/dockyard && echo 'raise SystemExit(7)' > ~/dockyard/__init__.py")
    assert "Usage: dockyard " in inside(place, "cd && dockyard --help")


def test_jupyterlab_opens_with_the_learners_copy(open_place: Open) -> None:
    place = open_place(LAB)
    wait_until_open(place)
    page = requests.get(f"{address(place)}/lab", params={"token": TOKEN}, timeout=30).text
    assert "apputils-extension:announcements" in page  # labconfig/: it asks for no news
    assert '"exposeAppInBrowser": true' in page
    css = requests.get(
        f"{address(place)}/custom/custom.css", params={"token": TOKEN}, timeout=30
    ).text
    assert "jupyter-widgets" in css
    assert inside(place, f"ls {COURSE}/work").split()[0] == "00_images"
    assert inside(place, f"cat {COURSE}/{STACK}") == inside(place, f"cat /kit/{STACK}")
    place.stop(timeout=60)
    assert place.wait()["StatusCode"] in (0, 143)


def test_a_kernel_of_a_place_sees_the_course(open_place: Open) -> None:
    place = open_place(LAB)
    wait_until_open(place)
    program = (
        "from jupyter_client.manager import run_kernel\n"
        "with run_kernel(cwd='notebooks') as client:\n"
        "    client.execute_interactive(\n"
        "        'from dockyard import notebook, settings; print(settings.course_dir())',\n"
        "        output_hook=lambda said: print(said['content'].get('text', ''), end=''))\n"
    )
    done = place.exec_run(["python", "-c", program], workdir=COURSE)
    assert done.output.decode().splitlines()[-1] == COURSE


def test_what_the_learner_changed_stays_and_the_rest_is_brought_up_to_date(
    outer: docker.DockerClient, kit: Volume, open_place: Open
) -> None:
    place = open_place(["true"])
    assert place.wait()["StatusCode"] == 0, said(place)
    place = open_place(["true"])
    place.wait()
    assert f"0 files written to {COURSE}" in said(place)

    keep = open_place(["infinity"], entrypoint=["sleep"])
    inside(keep, f"echo mine > {COURSE}/{STACK}; echo mine > {COURSE}/work/02_clustering/stack.yml")
    put(outer, kit, {STACK: b"theirs", "docs/new.md": b"new"})
    place = open_place(["true"])
    place.wait()
    assert f"1 file written to {COURSE}" in said(place)
    assert f"the learner has changed it: {STACK}" in said(place)
    for name in (STACK, "work/02_clustering/stack.yml"):
        assert inside(keep, f"cat {COURSE}/{name}") == "mine"
    assert inside(keep, f"cat {COURSE}/docs/new.md") == "new"


def test_a_place_opens_also_with_a_broken_kit_and_says_so(
    outer: docker.DockerClient, kit: Volume, kit_files: dict[str, bytes], open_place: Open
) -> None:
    broken = "exercises/02_clustering/exercise.toml"
    open_place(["true"]).wait()
    put(outer, kit, {broken: b"title ="})
    place = open_place(LAB)
    wait_until_open(place)
    note = inside(place, f"cat {COURSE}/NOT-UP-TO-DATE.txt")
    assert f'"{broken}" is broken' in note
    assert note.splitlines()[0] in said(place).replace("the course could", "The course could")

    put(outer, kit, {broken: kit_files[broken]})
    open_place(["true"]).wait()
    assert "NOT-UP" not in inside(place, f"ls {COURSE}")


def test_a_place_opens_also_where_nothing_can_be_written(open_place: Open, kit: Volume) -> None:
    place = open_place(
        LAB,
        volumes={kit.name: {"bind": "/kit", "mode": "ro"}},
        tmpfs={"/tmp": "mode=1777", "/home/learner": "mode=755"},  # noqa: S108
    )
    wait_until_open(place)
    assert "nor could the learner be told" in said(place)
    url = f"{address(place)}/api/contents/notebooks/start.ipynb"
    assert requests.get(url, params={"token": TOKEN, "content": "0"}, timeout=30).ok
