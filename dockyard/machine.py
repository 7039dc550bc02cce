"""What the doctor looks at without trying anything: this machine and its engine.

Each point is one function that returns a Finding.
"""

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

import docker
import msgspec
from docker.errors import DockerException

from dockyard import engine

OLDEST_ENGINE, OLDEST_API = (20, 10), (1, 41)
UPSTREAM = "debian:trixie-slim"

#: remark: good to know, and nothing stops. broken: some lesson cannot be taken.
State = Literal["ok", "remark", "broken"]


class Finding(msgspec.Struct, frozen=True):
    """One point: what was found, what it means for which lessons, how to mend it."""

    name: str
    state: State
    found: str
    means: str
    mend: str = ""


def no_engine() -> Finding:
    """Why none answers, as far as can be seen from here."""
    places = engine.candidates()
    asked = ", ".join(place.url for place in places) or "DOCKER_HOST, contexts, the usual sockets"
    found = f"No engine answers (looked at: {asked})"
    mend = "make lab (as root on Debian or Ubuntu), or install and start Docker: docs/hosts.md"
    for place in places:
        if _is_locked(place.url):
            found = f'This user may not use the engine at "{place.url}"'
            mend = 'sudo usermod -aG docker "$USER", then log in anew'
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


def version(client: docker.DockerClient, endpoint: engine.Endpoint) -> Finding:
    seen = client.version()
    found = f"{seen['Version']}, API {seen['ApiVersion']}, {endpoint.found_by} at {endpoint.url}"
    if _numbers(seen["Version"]) >= OLDEST_ENGINE and _numbers(seen["ApiVersion"]) >= OLDEST_API:
        return Finding("engine", "ok", found, "lab hosts run on it, in every lesson")
    means = "too old for lab hosts, so no lesson can be taken; 20.10 is the oldest"
    mend = "apt-get install docker.io, or Docker's own packages"
    return Finding("engine", "broken", found, means, mend)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def storage_driver(info: dict[str, Any]) -> Finding:
    name, driver = "storage driver", info["Driver"]
    if driver in ("overlay2", "overlayfs", "btrfs"):
        return Finding(name, "ok", driver, "images take their room once, in every lesson")
    means = "untried; whether lab hosts work on it shows below, and 00_images may look different"
    mend = 'set "storage-driver": "overlay2" in the engine\'s daemon.json'
    return Finding(name, "remark", driver, means, mend)


def cgroups(info: dict[str, Any]) -> Finding:
    found = f"version {info.get('CgroupVersion', '1')}, driver {info.get('CgroupDriver', 'none')}"
    kinds = {"memory": "MemoryLimit", "cpu": "CpuCfsQuota", "pids": "PidsLimit"}
    without = [kind for kind, key in kinds.items() if not info.get(key)]
    if not without:
        return Finding("cgroups", "ok", found, "limits hold, as 04_security and 05_monitoring need")
    found += f", no limit on {', '.join(without)}"
    means = "a lab may take the whole machine; 04_security and 05_monitoring cannot show limits"
    mend = "hand these controllers on to the engine (rootless: systemd's Delegate=yes)"
    return Finding("cgroups", "broken", found, means, mend)


def access_control(info: dict[str, Any]) -> Finding:
    """AppArmor and SELinux."""
    options = " ".join(info.get("SecurityOptions") or [])
    if "selinux" in options:
        means = "it may stop lab hosts from mounting; whether it does shows below"
        mend = "if the lab host fails: run the engine without --selinux-enabled"
        return Finding("access control", "remark", "SELinux", means, mend)
    if "apparmor" in options:
        means = "lab hosts run unconfined by it; 04_security shows profiles on the engine itself"
        return Finding("access control", "ok", "AppArmor", means)
    means = "nothing stands in a lab host's way; 04_security can only tell of profiles"
    return Finding("access control", "ok", "neither AppArmor nor SELinux", means)


def docker_command() -> Finding:
    name, path = "docker command", shutil.which("docker")
    if path:
        return Finding(name, "ok", path, "`!docker …` works in every lesson")
    means = "cells with `!docker …` fail in every lesson; the Python SDK works"
    mend = "apt-get install docker-cli (before Debian 13: docker.io)"
    return Finding(name, "broken", "none on the path", means, mend)


def python() -> Finding:
    found = sys.version.split()[0]
    if sys.version_info >= (3, 11):
        return Finding("python", "ok", found, "every lesson runs with it")
    mend = "install Python 3.11 or newer, then: make clean lab"
    return Finding("python", "broken", found, "too old for every lesson", mend)


def registry(client: docker.DockerClient) -> Finding:
    """Never more than a remark: no lesson needs one."""
    try:
        client.api.inspect_distribution(UPSTREAM)  # type: ignore[no-untyped-call]
    except (DockerException, OSError):
        means = "images are built from Debian packages or come from a bundle; no lesson needs one"
        return Finding("registry", "ok", "none answers", means)
    return Finding("registry", "ok", "answers", "upstream images can be used, digests pinned")
