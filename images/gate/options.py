"""What options of containers, volumes and networks may be in a graded lab, whatever the road.

An exercise's own needs (`[lab.allow]` of its exercise.toml) come as the dictionary *allow*; with
them, as `gate`, the address at which engines ask us.
"""

import re
from ipaddress import ip_address, ip_network
from posixpath import normpath, split
from typing import Any

from reading import Refused, fields, items, malformed, mapping, names, text

Allow = dict[str, Any]

# What each container has by itself: to add one after dropping ALL is good style.
CAPABILITIES = names(
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP"
    " SETGID SETPCAP SETUID SYS_CHROOT"
)
SECURITY = r"no-new-privileges([=:]\w+)?|apparmor[=:]docker-default|seccomp[=:]builtin"
LOG_DRIVERS = "|json-file|local|none|syslog|journald|gelf|fluentd"
MOUNT = names("Type Source Target ReadOnly Consistency BindOptions VolumeOptions TmpfsOptions")
BIND_OPTIONS = names("Propagation NonRecursive CreateMountpoint ReadOnlyForceRecursive")
PROPAGATION = "|r?private|r?slave"
VOLUME_NAME = "|[a-zA-Z0-9][a-zA-Z0-9_.-]*"
# No braces: a swarm fills in such templates when we have looked already.
HOST_PATH = re.compile(r"/[\w.@+:=, /-]*")
# Not "bind": with it the device is a path, whatever the type.
TMPFS = r"(((size|uid|gid|mode|nr_inodes)=\w+%?|ro|rw|noexec|nosuid|nodev|noatime)(,|$))*"


def one_of(name: str, value: Any, pattern: str) -> None:
    """Refuse a string that does not match as a whole."""
    if not re.fullmatch(pattern, text(value)):
        raise Refused(f'"{value}" as "{name}"')


def capabilities(wanted: Any, allow: Allow) -> None:
    allowed = CAPABILITIES | names(" ".join(allow["capabilities"]))
    for name in map(text, items(wanted)):
        if name.lower().removeprefix("cap_") not in allowed:
            raise Refused(f'the capability "{name}"')


def sysctls(wanted: Any) -> None:
    for name in mapping(wanted):
        if not name.startswith("net."):
            raise Refused(f'the sysctl "{name}"')


def log_driver(value: Any) -> None:
    """As containers describe it (Type, Config), or as services do (Name, Options)."""
    found = fields(value, names("Type Config Name Options"))
    for key in ("type", "name"):
        one_of("log driver", found.get(key), LOG_DRIVERS)
    options = [*mapping(found.get("config")).items(), *mapping(found.get("options")).items()]
    for option, address in options:
        # The engine, which is root, would write into any socket of the host.
        if option.endswith("-address") and text(address).strip().lower().startswith("unix"):
            raise Refused(f'"{address}" as "{option}"')


def network_mode(name: Any, allow: Allow) -> None:
    # Containers get the host's network by this name only; the engine refuses its id.
    if text(name) == "host" and not allow["host_network"]:
        raise Refused('the network "host"')


def subnet(written: Any, allow: Allow) -> None:
    """A route to the gate that leads to a container of the learner's, which would allow all."""
    try:
        around = written and ip_address(allow["gate"]) in ip_network(text(written), strict=False)
    except ValueError:
        malformed()
    if around:
        raise Refused(f'the subnet "{written}", which the lab itself uses')


def mount(value: Any, allow: Allow) -> None:
    """One of the `Mounts` of a container or a service."""
    found = fields(value, MOUNT)
    binding = fields(found.get("bindoptions"), BIND_OPTIONS)
    one_of("propagation", binding.get("propagation"), PROPAGATION)
    volume = fields(found.get("volumeoptions"), {"nocopy", "labels", "driverconfig"})
    driver = fields(volume.get("driverconfig"), {"name", "options"})
    volume_driver(driver.get("name"), driver.get("options"), allow)
    one_of("type of a mount", found.get("type"), "bind|volume|tmpfs")
    if found["type"] == "bind":
        bind(text(found.get("source")), found.get("readonly") is True, allow)
    else:
        one_of("volume", found.get("source"), VOLUME_NAME)


def volume_or_bind(value: Any, allow: Allow) -> None:
    """One of a container's `Binds`: [SOURCE:]TARGET[:OPTIONS]."""
    parts = text(value).split(":")
    source = parts[0] if len(parts) > 1 else ""
    options = ":".join(parts[2:]).split(",")
    if {"shared", "rshared"}.intersection(options):
        raise Refused(f'"{value}" with a shared propagation')
    if source.startswith("/"):
        bind(source, "ro" in options, allow)
    else:
        one_of("volume", source, VOLUME_NAME)


def bind(source: str, read_only: bool, allow: Allow) -> None:
    """A path of the host, which the exercise has to name: the path, or FOLDER/* for all in it.

    The star is for what lies in the folder itself, not below. Who can write in a bound folder can
    put a symbolic link there, and bind what it leads to. So where a folder may be bound, nothing
    above it may be, and nothing in it. An exercise that names both gives its hosts away.
    """
    path = source.rstrip("/") or "/"
    if not HOST_PATH.fullmatch(path) or path.startswith("//") or normpath(path) != path:
        raise Refused(f'the host\'s path "{source}", written like this')
    entries = [entry.partition(":") for entry in allow["binds"]]
    path = _run(path)
    ways = [mode for known, _, mode in entries if _run(known) in (path, f"{split(path)[0]}/*")]
    if not ways:
        raise Refused(f'to bind the host\'s path "{source}"')
    if not read_only and "" not in ways:
        raise Refused(f'to bind the host\'s path "{source}" other than read-only')


def _run(path: str) -> str:
    """/var/run is a link to /run."""
    return re.sub("^/var/run(?=/|$)", "/run", path)


def volume_driver(name: Any, options: Any, allow: Allow) -> None:
    """A driver, and its options: of the local one, only memory is no part of the host."""
    if text(name) not in ("", "local"):
        if not allow["plugins"]:
            raise Refused(f'the volume driver "{name}"')
    elif wanted := mapping(options):
        for option, value in {"type": "", "device": "", **wanted}.items():
            one_of(f"volume option {option}", value, {"o": TMPFS}.get(option, "tmpfs"))
