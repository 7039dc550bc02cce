"""`dockyard doctor`: looks at the machine point by point, and tries a lab host for real.

It installs nothing and starts no engine. The trial host is made by the code that makes every
lab's hosts, and is gone afterwards.
"""

import fcntl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import docker
from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container
from msgspec.structs import replace
from requests.exceptions import RequestException

from dockyard import engine, images, lifecycle, machine, seed, settings
from dockyard.course import Exercise, exercise_ids, load_exercise
from dockyard.errors import DockyardError, EngineError
from dockyard.lab import Lab, LabName, containers
from dockyard.machine import Finding, State
from dockyard.recipes import recipe
from dockyard.settings import Say, quiet

LEARNER = "doctor"
HOST = "trial"
CALL_TIMEOUT = 20  # seconds; the most that the doctor may take
SIGNS: dict[State, str] = {"ok": "✓", "remark": "!", "broken": "✗"}
MEMORY = {"broken": 0.5, "remark": 2.0}  # GB; a lab of three hosts takes half of one
DISK = {"broken": 1.0, "remark": 4.0}  # GB; images and their seed take one


def diagnose(say: Say = quiet) -> list[Finding]:
    """Look at everything; takes some seconds, nearly all of them for the trial host."""
    here = [machine.docker_command(), machine.python()]
    try:
        endpoint = engine.first_that_answers()
    except EngineError:
        endpoint = None
    if endpoint is None:
        return [machine.no_engine(), *here]
    client = endpoint.client(CALL_TIMEOUT)
    points: dict[str, Callable[[], Finding]] = {
        "engine": lambda: machine.version(client, endpoint),
        "storage driver": lambda: machine.storage_driver(client.info()),
        "cgroups": lambda: machine.cgroups(client.info()),
        "access control": lambda: machine.access_control(client.info()),
        "registry": lambda: machine.registry(client),
    }
    findings = [_look(name, point) for name, point in points.items()]
    return [*findings, *here, *_trials(client, say)]


def to_text(findings: list[Finding]) -> str:
    """A line for each point, and one more where there is something to mend."""
    width = max(len(each.name) for each in findings) + 2
    lines = []
    for each in findings:
        lines.append(f"{SIGNS[each.state]} {each.name:{width}}{each.found}: {each.means}")
        if each.mend:
            lines.append(f"{'':{width + 2}}to mend it: {each.mend}")
    return "\n".join(lines)


def _look(name: str, point: Callable[[], Finding]) -> Finding:
    """The point's finding, also where looking fails."""
    try:
        return point()
    except (DockyardError, DockerException, RequestException, OSError) as error:
        reason = " ".join(str(getattr(error, "explanation", None) or error).split())
        mend = "the engine's own log tells more"
        return Finding(name, "broken", reason[:400], "no lesson can be taken", mend)


def _trials(client: docker.DockerClient, say: Say) -> list[Finding]:
    """Start a lab host and look from inside it."""
