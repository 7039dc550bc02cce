"""This machine, as it is. Each point is one function that returns a Finding."""

import platform
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

from dockyard.doctor.finding import GB, Finding

OLDEST_PYTHON = (3, 11)
#: What must be free, and what should be. A lab of three hosts takes 0.5 GB of memory; images
#: and their seed take 1 GB of disk.
MEMORY, DISK = (0.5, 2.0), (1.0, 4.0)
#: Browsers with a window; `make lab` opens whichever the system prefers.
BROWSERS = (
    "firefox", "firefox-esr", "chromium", "chromium-browser", "google-chrome",
    "google-chrome-stable", "microsoft-edge", "brave-browser", "opera", "epiphany",
)  # fmt: skip


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


def browser() -> Finding:
    means = "`make lab` opens it, for every lesson"
    if sys.platform in ("darwin", "win32"):
        return Finding("browser", "ok", "the system's", means)
    if found := next(filter(None, map(shutil.which, BROWSERS)), None):
        return Finding("browser", "ok", found, means)
    means = "`make lab` prints an address for every lesson, which a browser elsewhere may open"
    mend = (
        "apt-get install firefox-esr; or on the machine that has one: ssh -L 8888:127.0.0.1:8888 …"
    )
    return Finding("browser", "remark", "none on the path", means, mend)
