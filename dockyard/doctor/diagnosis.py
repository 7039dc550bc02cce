"""`dockyard doctor`: looks at the machine point by point, and tries a lab host for real.

It installs nothing and starts no engine.
"""

import grp
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from docker.errors import DockerException
from requests.exceptions import RequestException

from dockyard import engine, room
from dockyard.doctor import limits, machine, outer, ports, trial
from dockyard.doctor.finding import Finding, State
from dockyard.errors import DockyardError, EngineError
from dockyard.settings import Say, quiet

CALL_TIMEOUT = 20  # seconds; the most that the doctor may take
SIGNS: dict[State, str] = {"ok": "✓", "remark": "!", "broken": "✗"}


def diagnose(say: Say = quiet, learners: int = 0, registry: bool = True) -> list[Finding]:
    """Look at everything; takes some seconds, nearly all of them for the trial host.

    Args:
        learners: how many are to work here; 0 leaves out whether there is room.
        registry: whether to ask one, which takes long where a firewall swallows the question.
    """
    here = [
        machine.docker_command(), machine.python(), machine.proxy(), machine.browser(),
        limits.open_files(), ports.jupyter(),
    ]  # fmt: skip
    try:
        endpoint = engine.first_that_answers()
    except EngineError:
        endpoint = None
    if endpoint is None:
        return [no_engine(), *here]
    client = endpoint.client(CALL_TIMEOUT)
    known = _look("engine", lambda: outer.version(client.version(), endpoint))
    if known.state == "broken":  # what it says of the rest is of no use
        return [known, *here]
    points: dict[str, Callable[[], Finding]] = {
        "kind of engine": lambda: outer.kind_of_engine(client.info()),
        "clock": lambda: outer.clock(client.info(), datetime.now(UTC)),
        "storage driver": lambda: outer.storage_driver(client.info()),
        "cgroups": lambda: outer.cgroups(client.info()),
        "access control": lambda: outer.access_control(client.info()),
        "memory": lambda: machine.memory(client.info()),
        "disk": lambda: machine.disk(client.info()),
        "inotify": lambda: limits.inotify(client.info(), _hosts(learners)),
        "ports of labs": lambda: ports.labs(room.largest(), learners),
        **({"room": lambda: room.finding(client.info(), learners)} if learners else {}),
        **({"registry": lambda: outer.registry(client)} if registry else {}),
    }
    findings = [known, *(_look(name, point) for name, point in points.items()), *here]
    try:
        findings += trial.findings(client, say)
    except (DockyardError, DockerException, RequestException, OSError) as error:
        findings.append(_failed("lab host", error))
    return findings


def _hosts(learners: int) -> int:
    """How many lab hosts are to run, where each learner has the largest lab."""
    return len(room.largest().lab.hosts) * max(learners, 1)


def no_engine() -> Finding:
    """Why none answers, as far as can be seen from here."""
    places = engine.candidates()
    asked = ", ".join(place.url for place in places) or "DOCKER_HOST, contexts, the usual sockets"
    found = f"No engine answers (looked at: {asked})"
    mend = "make lab (as root on Debian or Ubuntu), or install and start Docker: docs/hosts.md"
    for place in places:
        if _is_locked(place.url):
            found = f'This user may not use the engine at "{place.url}"'
            mend = _way_in(place.url)
        elif place.named:
            found = f'No engine answers at "{place.url}" (from {place.found_by})'
            mend = f"start it, or unset {place.found_by} to let Dockyard look elsewhere"
    return Finding("engine", "broken", found, "no lesson can be taken", mend)


def _is_locked(url: str) -> bool:
    path = Path(url.removeprefix("unix://"))
    try:
        return path.is_socket() and not os.access(path, os.R_OK | os.W_OK)
    except PermissionError:  # of a folder above it
        return True


def _way_in(url: str) -> str:
    """How this user gets at a socket: by its group, if that may use it, or as root."""
    as_root = "this engine is for root only: run the same command with sudo"
    try:
        seen = Path(url.removeprefix("unix://")).stat()
    except PermissionError:
        return as_root
    if not seen.st_gid or not seen.st_mode & stat.S_IWGRP:
        return as_root
    group = grp.getgrgid(seen.st_gid).gr_name
    return f'sudo usermod -aG {group} "$USER", then log in anew'


def amiss(say: Say) -> str:
    """What stops a lesson, for whoever is about to take one; nothing, where all is well."""
    broken = [each for each in diagnose(say, registry=False) if each.state == "broken"]
    return to_text(broken) if broken else ""


def is_fit(findings: list[Finding]) -> bool:
    """Whether every lesson can be taken; remarks do not count."""
    return all(each.state != "broken" for each in findings)


def to_text(findings: list[Finding]) -> str:
    """A line for each point, and one more where there is something to mend."""
    width = max(len(each.name) for each in findings) + 2
    lines = []
    for each in findings:
        lines.append(f"{SIGNS[each.state]} {each.name:{width}}{each.found}: {each.means}")
        if each.mend:
            lines.append(f"{'':{width + 2}}→ {each.mend}")
    return "\n".join(lines)


def to_json(findings: list[Finding]) -> str:
    return msgspec.json.format(msgspec.json.encode(findings), indent=1).decode()


def _look(name: str, point: Callable[[], Finding]) -> Finding:
    """The point's finding, also where looking fails."""
    try:
        return point()
    except (DockerException, RequestException, OSError) as error:
        return _failed(name, error)


def _failed(name: str, error: Exception) -> Finding:
    reason = " ".join(str(getattr(error, "explanation", None) or error).split())
    mend = "mend what stands above, or see the engine's own log"
    return Finding(name, "broken", reason[:400], "no lesson is sure to work", mend)
