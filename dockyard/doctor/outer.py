"""What the outer engine says of itself. Each point is one function that returns a Finding."""

import re
from datetime import datetime
from typing import Any

import docker
from docker.errors import DockerException

from dockyard import engine
from dockyard.doctor.finding import Finding

OLDEST_ENGINE, OLDEST_API = (20, 10), (1, 41)
UPSTREAM = "debian:trixie-slim"
#: Seconds that two clocks may differ.
MOST_APART = 30


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
        means = "it may stop lab hosts from mounting, in every lesson; whether it does shows below"
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
        means = "untried; whether lab hosts of any lesson work on it shows below, limits above"
        return Finding(name, "remark", "rootless", means, "if the lab host fails: an ordinary one")
    if "Docker Desktop" in system:
        means = "lab hosts of all lessons run in its virtual machine; its settings say how large"
        return Finding(name, "ok", system, means)
    return Finding(name, "ok", f"an ordinary one, on {system}", "what every lesson was made on")


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
    means = "certificates may not hold, in every lesson; 06_logging shows other times"
    mend = (
        "let both take the time from the network (timedatectl set-ntp true), restart Docker Desktop"
    )
    return Finding("clock", "broken", found, means, mend)


def registry(client: docker.DockerClient) -> Finding:
    """Never more than a remark: no lesson needs one."""
    try:
        client.api.inspect_distribution(UPSTREAM)  # type: ignore[no-untyped-call]
    except (DockerException, OSError):
        means = "images are built from Debian packages or come from a bundle; no lesson needs one"
        return Finding("registry", "ok", "none answers", means)
    return Finding("registry", "ok", "answers", "upstream images can be used, digests pinned")
