"""What the doctor looks at without trying anything: this machine and its engine.

Each point is one function that returns a Finding.
"""

import platform
import re
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.request import getproxies, proxy_bypass

import docker
import msgspec
from docker.errors import DockerException

from dockyard import engine

OLDEST_ENGINE, OLDEST_API, OLDEST_PYTHON = (20, 10), (1, 41), (3, 11)
UPSTREAM = "debian:trixie-slim"
GB = 10**9
#: Seconds that two clocks may differ.
MOST_APART = 30
#: What must be free, and what should be. A lab of three hosts takes 0.5 GB of memory; images
#: and their seed take 1 GB of disk.
MEMORY, DISK = (0.5, 2.0), (1.0, 4.0)

#: remark: good to know, and nothing stops. broken: some lesson cannot be taken.
State = Literal["ok", "remark", "broken"]


class Finding(msgspec.Struct, frozen=True):
    """One point: what was found, what it means for which lessons, how to mend it."""

    name: str
    state: State
    found: str
    means: str
    mend: str = ""


def version(seen: dict[str, Any], endpoint: engine.Endpoint) -> Finding:
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


def kind_of_engine(info: dict[str, Any]) -> Finding:
    name, system = "kind of engine", str(info.get("OperatingSystem"))
    if any("rootless" in each for each in info.get("SecurityOptions") or []):
        means = "untried; whether lab hosts work on it shows below, limits of 04_security above"
        return Finding(name, "remark", "rootless", means, "if the lab host fails: an ordinary one")
    if "Docker Desktop" in system:
        means = "lab hosts run in its virtual machine; give that memory for them in its settings"
        return Finding(name, "ok", system, means)
    return Finding(name, "ok", f"an ordinary one, on {system}", "what the course was made on")


def clock(info: dict[str, Any], now: datetime) -> Finding:
    """The engine's, beside this machine's: in a virtual machine, it may stand still for a while.

    Args:
        now: with its time zone.
    """
    told = re.sub(r"(\.\d{1,6})\d*", r"\1", info["SystemTime"])  # engines count nanoseconds
    apart = abs((datetime.fromisoformat(told) - now).total_seconds())
    found = f"the engine's is {apart:.0f} s away from this machine's"
    if apart < MOST_APART:
        return Finding("clock", "ok", found, "certificates hold, in every lesson")
    means = "certificates of labs may not hold yet, or no more, and logs tell other times"
    mend = (
        "let both take the time from the network (timedatectl set-ntp true), restart Docker Desktop"
    )
    return Finding("clock", "broken", found, means, mend)


def proxy() -> Finding:
    """Whether calls to labs, at 127.0.0.1, go past the proxy that the environment names."""
    named = getproxies()
    if not named:
        return Finding("proxy", "ok", "none", "labs are reached directly, in every lesson")
    found = ", ".join(sorted(f"{kind}: {where}" for kind, where in named.items()))
    if proxy_bypass("127.0.0.1"):
        return Finding("proxy", "ok", found, "labs are reached past it, in every lesson")
    mend = 'export NO_PROXY="127.0.0.1,localhost,$NO_PROXY"'
    return Finding("proxy", "broken", found, "calls to labs go to it, so no lesson works", mend)


def memory(info: dict[str, Any]) -> Finding:
    free, of = info["MemTotal"], "in all"
    if is_here(info):
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free, of = int(lines["MemAvailable"].split()[0]) * 1024, "free"
    means = "a lab of 02_clustering takes 0.5 GB"
    mend = "end programs, or other labs: dockyard reset --all"
    return _room("memory", free, of, MEMORY, means, mend)


def disk(info: dict[str, Any]) -> Finding:
    means = "the images of all lessons take about 1 GB"
    if not is_here(info):
        found = "not to be seen, for the engine runs elsewhere"
        return Finding("disk", "remark", found, means, "docker system df")
    free = shutil.disk_usage(info["DockerRootDir"]).free
    mend = "docker system df shows what takes room; docker system prune gives some back"
    return _room("disk", free, "free", DISK, means, mend)


def is_here(info: dict[str, Any]) -> bool:
    """Whether the engine runs on this machine, not in a virtual or another one."""
    return Path(info["DockerRootDir"]).exists() and info.get("Name") == platform.node()


def _room(
    name: str, free: int, of: str, needs: tuple[float, float], means: str, mend: str
) -> Finding:
    found, (must, should) = f"{free / GB:.1f} GB {of}", needs
    if free >= should * GB:
        return Finding(name, "ok", found, means)
    return Finding(name, "broken" if free < must * GB else "remark", found, means, mend)


def docker_command() -> Finding:
    name, path = "docker command", shutil.which("docker")
    if path:
        return Finding(name, "ok", path, "`!docker …` works in every lesson")
    means = "cells with `!docker …` fail in every lesson; the Python SDK works"
    mend = "apt-get install docker-cli (before Debian 13: docker.io)"
    return Finding(name, "broken", "none on the path", means, mend)


def python() -> Finding:
    found = sys.version.split()[0]
    if sys.version_info[:2] >= OLDEST_PYTHON:
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
