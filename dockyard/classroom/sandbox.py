"""Where a submission's notebook runs: a container that reaches its lab and nothing else.

nbclient runs in there together with the kernel (images/sandbox/run-notebook), because the
messages of a kernel are as hostile as its code: outside, only the finished notebook is read, as
JSON. Inside are no graders, solutions, gradebook or other people's work, and no way to the
outer engine.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import docker
import msgspec
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import LogConfig
from requests.exceptions import ConnectionError as NoAnswer
from requests.exceptions import ReadTimeout

import dockyard
from dockyard import certificates, gate, images, settings, swarm
from dockyard.errors import LabError
from dockyard.lab import Lab
from dockyard.settings import GRADING

IMAGE = "sandbox"
WORK = "/submission"
MEMORY, PIDS, DISK = "1g", 256, "128m"
#: What cells may put out, all together; and what is read of the container's output at most.
OUTPUT = 2_000_000
START = 60  # seconds for the container, before the notebook's own time begins


class Setup(msgspec.Struct, frozen=True):
    """What images/sandbox/run-notebook reads first: all that does not depend on the submission."""

    files: dict[str, str]
    folder: str
    environment: dict[str, str]


class Task(msgspec.Struct, frozen=True):
    """What it reads then; seconds for a cell and for all, bytes of output."""

    cells: list[dict[str, Any]]
    files: dict[str, str]
    seconds_cell: int
    seconds: int
    bytes: int = OUTPUT


class Output(msgspec.Struct, frozen=True):
    """One output of a cell, as the notebook format has it, less what nobody shows."""

    output_type: str
    name: str = "stdout"
    text: str | list[str] = ""
    data: dict[str, Any] = {}
    ename: str = ""
    evalue: str = ""
    traceback: list[str] = []


class Answer(msgspec.Struct, frozen=True):
    """What it answers, or what the submission has put in the place of that.

    Attributes:
        stopped: the number of the cell at which the kernel died.
        late, full: whether time, or the room for outputs, was used up.
    """

    outputs: list[list[Output]]
    stopped: int | None
    late: bool
    full: bool


class Executed(NamedTuple):
    """Each cell's outputs, and what an instructor should know."""

    outputs: list[list[Output]]
    remark: str


class Limits(msgspec.Struct, frozen=True):
    """Seconds for one cell, and for all cells."""

    cell: int
    notebook: int


class Sandbox:
    """A container in which one notebook runs.

    Python, nbclient and a kernel start with it, which takes a second or two; so it can be
    started ahead of the notebook.

    Raises:
        LabError: it did not start.
    """

    def __init__(self, engine: docker.DockerClient, lab: Lab) -> None:
        self._exercise = lab.exercise.id
        self._container = _create(engine, lab)
        self._stream = self._container.attach_socket(params={"stdin": 1, "stream": 1})
        setup = Setup(_coded(dict(_ours(lab))), self._exercise, _environment(lab))
        try:
            self._container.start()
            self._send(setup)
        except (APIError, OSError) as error:
            self.remove()
            why = getattr(error, "explanation", None) or error
            raise LabError(f"The sandbox does not start: {why}") from None

    def run(self, cells: list[dict[str, Any]], files: dict[str, bytes], limits: Limits) -> Executed:
        """Execute cells beside *files*; nothing of it runs any more when this returns."""
        inside = {f"{self._exercise}/{name}": content for name, content in files.items()}
        task = Task(cells, _coded(inside), limits.cell, limits.notebook)
        try:
            lost = self._execute(task) or "It ended in a way of its own; its outputs are lost."
            answer = self._container.logs(stdout=True, stderr=False)
        finally:
            self.remove()
        try:
            said = msgspec.json.decode(answer, type=Answer)
        except (msgspec.MsgspecError, RecursionError):
            return Executed([], lost)
        return Executed(said.outputs, _remark(said, task))

    def remove(self) -> None:
        """End it. Does nothing where it is gone."""
        self._stream.close()
        with suppress(NotFound):
            self._container.remove(force=True, v=True)

    def _execute(self, task: Task) -> str:
        """Hand the task in and wait; says why the container was stopped, if it was."""
        try:
            self._send(task)
            self._container.wait(timeout=task.seconds + START * settings.patience())
        except (ReadTimeout, NoAnswer):
            self._container.kill()
            return f"The notebook was ended after {task.seconds} seconds."
        except OSError:
            return "The notebook's process was killed."
        return ""

    def _send(self, message: Setup | Task) -> None:
        to_stdin: Any = getattr(self._stream, "_sock", self._stream)
        to_stdin.sendall(msgspec.json.encode(message) + b"\n")


def _remark(said: Answer, task: Task) -> str:
    if said.late:
        return f"The notebook was ended after {task.seconds} seconds."
    if said.stopped is not None:
        return f"The notebook stopped at cell {said.stopped}, for its kernel died."
    if said.full:
        return f"What cells put out beyond {task.bytes / 1e6:g} MB was dropped."
    return ""


def _coded(files: dict[str, bytes]) -> dict[str, str]:
    return {name: b64encode(content).decode() for name, content in files.items()}


def _create(engine: docker.DockerClient, lab: Lab) -> Container:
    made = engine.api.create_container(
        images.ensure(engine, IMAGE).id,
        name=f"{lab.name.prefix}-sandbox",
        hostname="sandbox",
        labels=lab.name.labels(),
        stdin_open=True,
        host_config=engine.api.create_host_config(
            network_mode=lab.name.prefix,
            dns=[gate.name_server(engine, lab)],
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            read_only=True,
            tmpfs={"/tmp": f"size={DISK},mode=1777", WORK: f"size={DISK},mode=1777"},  # noqa: S108
            mem_limit=MEMORY,
            memswap_limit=MEMORY,
            nano_cpus=10**9,
            cpu_shares=128,  # of 1024: where cores are scarce, labs and checks come first
            pids_limit=PIDS,
            runtime=settings.host_runtime(),
            log_config=LogConfig(type="json-file", config={"max-size": "16m", "max-file": "1"}),
        ),
    )
    return engine.containers.get(made["Id"])


def _ours(lab: Lab) -> Iterator[tuple[str, bytes]]:
    """What a notebook uses of Dockyard: the package, its exercise's description, its lab's keys."""
    package = Path(dockyard.__file__).parent
    for path in package.glob("*.py"):
        yield f"lib/dockyard/{path.name}", path.read_bytes()
    plan = lab.exercise.folder / "exercise.toml"
    yield f"exercises/{lab.exercise.id}/exercise.toml", plan.read_bytes()
    for name in certificates.CLIENT_FILES:
        keys = lab.name.keys
        inside = keys.relative_to(settings.state_dir())
        yield f"state/{inside}/{name}", (keys / certificates.SUBMISSION / name).read_bytes()


def _environment(lab: Lab) -> dict[str, str]:
    return {
        GRADING: "1",
        "JUPYTERHUB_USER": lab.name.learner,
        "DOCKYARD_COURSE": WORK,
        "DOCKYARD_STATE": f"{WORK}/state",
        "PYTHONPATH": f"{WORK}/lib",
        "HOME": WORK,
        **swarm.modes(lab),
    }
