"""An audit in the manner of Docker Bench for Security: what may a host's containers do?

It asks the engine that DOCKER_HOST names, and prints PASS, or WARN with the names of containers.
The numbers are those of the CIS Docker Benchmark, of which Docker Bench covers much more. An audit
finds what to ask about. Whether the answer is good, you decide.
"""

import re

import docker

EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 (we look for it)
SOCKETS = ("/run/docker.sock", "/var/run/docker.sock")


def user(container):
    return container["Config"]["User"].split(":")[0] not in ("", "0", "root")


def no_secret_in_environment(container):
    names = [each.split("=")[0] for each in container["Config"]["Env"]]
    return not any(re.search("PASSWORD$|SECRET$|TOKEN$|KEY$", name) for name in names)


def capabilities_dropped(container):
    options = container["HostConfig"]
    return "ALL" in (options["CapDrop"] or []) and not options["CapAdd"]


def has(option):
    return lambda container: any(
        each.startswith(option) for each in container["HostConfig"]["SecurityOpt"] or []
    )


def limited(option):
    return lambda container: (container["HostConfig"][option] or 0) > 0


def bound_to_an_interface(container):
    ports = container["NetworkSettings"]["Ports"].values()
    return not any(each["HostIp"] in EVERYWHERE for bound in ports for each in bound or [])


def no_engine_socket(container):
    sources = [each["Source"].rstrip("/") + "/" for each in container["Mounts"] if "Source" in each]
    return not any(f"{socket}/".startswith(source) for source in sources for socket in SOCKETS)


CHECKS = {
    "4.1   Runs as a user, not as root": user,
    "4.10  No secret in the environment": no_secret_in_environment,
    "5.4   Linux capabilities are dropped": capabilities_dropped,
    "5.5   Is not privileged": lambda each: not each["HostConfig"]["Privileged"],
    "5.11  Memory is limited": limited("Memory"),
    "5.13  Root file system is read-only": lambda each: each["HostConfig"]["ReadonlyRootfs"],
    "5.14  Ports are bound to one interface": bound_to_an_interface,
    "5.16  Does not share the host's processes": lambda each: (
        each["HostConfig"]["PidMode"] != "host"
    ),
    "5.22  Seccomp is not turned off": lambda each: not has("seccomp=unconfined")(each),
    "5.26  Gains no new privileges": has("no-new-privileges"),
    "5.29  Processes are limited": limited("PidsLimit"),
    "5.32  Does not hold the engine's socket": no_engine_socket,
}


def audit(client):
    info = client.info()
    containers = {each.name: each.attrs for each in client.containers.list()}
    print(f"{info['Name']}: {', '.join(sorted(containers)) or 'no containers'}\n")

    for number, module in {"5.2 ": "apparmor", "5.3 ": "selinux"}.items():
        there = any(module in each for each in info["SecurityOptions"])
        print(f"[INFO] {number}  {module}: {'in use' if there else 'not on this host'}")
    warnings = 0
    for title, check in CHECKS.items():
        failed = sorted(name for name, container in containers.items() if not check(container))
        warnings += bool(failed)
        print(f"[WARN] {title}: {', '.join(failed)}" if failed else f"[PASS] {title}")
    print(f"\n{len(CHECKS)} checks, {warnings} with warnings")


if __name__ == "__main__":
    audit(docker.from_env())
