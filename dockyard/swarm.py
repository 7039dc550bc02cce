"""What a lab's hosts run, for people who look at it."""

import time

import docker
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from dockyard.lab import Lab, side_by_side
from dockyard.waiting import wait_until

#: What an engine answers that is no swarm manager, and one that is overwhelmed.
SERVICE_UNAVAILABLE, INTERNAL_ERROR = 503, 500
#: Task states on the way to "running".
UNDERWAY = {"new", "allocated", "assigned", "accepted", "preparing", "ready", "starting"}
#: Seconds for which nothing may be under way before a swarm counts as settled: an update starts
#: its next task within this time, and the scheduler has looked again at what is pending.
CALM = 1.5


def modes(lab: Lab) -> dict[str, str]:
    """Variables for stack files: how to publish ports and to find services on this kernel.

    Without IPVS, neither the routing mesh nor virtual addresses answer.
    """
    if lab.has_routing_mesh:
        return {"PUBLISH_MODE": "ingress", "ENDPOINT_MODE": "vip"}
    return {"PUBLISH_MODE": "host", "ENDPOINT_MODE": "dnsrr"}


def short_name(name: str) -> str:
    """A container's, as services name their tasks: "vote.1", without the task's id."""
    return ".".join(name.lstrip("/").split(".", 2)[:2])


def running_on(lab: Lab) -> dict[str, list[str]]:
    """The names of the running containers of each host, short as services name them."""

    def names(host: str) -> list[str]:
        try:
            containers = lab.client(host).containers.list(ignore_removed=True)
        except (DockerException, RequestException):
            return ["(does not answer)"]
        return sorted(short_name(str(each.name)) for each in containers)

    return dict(zip(lab.hosts, side_by_side(names, lab.hosts), strict=True))


def settle(lab: Lab, timeout: float = 120) -> None:
    """Wait until no service's tasks are under way any more, nor an update.

    Raises:
        TimeoutError: they still are.
    """
    last = ("", time.monotonic())

    def calm() -> bool:
        nonlocal last
        try:
            state = _under_way(lab)
        except APIError as error:  # a manager on a busy machine: "context deadline exceeded"
            if error.status_code != INTERNAL_ERROR:
                raise
            state = None
        if state is None or state != last[0]:
            last = (state or "", time.monotonic())
        return time.monotonic() - last[1] > CALM

    wait_until(calm, timeout, "the services to settle")


def manager(lab: Lab) -> docker.DockerClient | None:
    """A client of the swarm's manager, if there is one."""
    for host in lab.hosts:
        try:
            # Not `docker info`: it takes ten times as long, for it asks runc and others.
            lab.client(host).api.inspect_swarm()
        except APIError as error:
            if error.status_code != SERVICE_UNAVAILABLE:
                raise
        else:
            return lab.client(host)
    return None


def _under_way(lab: Lab) -> str | None:
    """None while anything is on its way; else the swarm's state, to see whether it stays so."""
    client = manager(lab)
    if client is None:
        return "no swarm"
    services = client.services.list()
    if any(each.attrs.get("UpdateStatus", {}).get("State") == "updating" for each in services):
        return None
    # One question for all tasks: in a graded lab, each costs its host another to the policy.
    known, states = {each.id for each in services}, []
    for task in client.api.tasks():  # type: ignore[no-untyped-call]
        if task["ServiceID"] not in known:  # its service is gone
            continue
        state = task["Status"]["State"]
        wanted = task["DesiredState"] in ("running", "ready")
        if (wanted and state in UNDERWAY) or (not wanted and state == "running"):
            return None
        states.append(f"{task['ID']} {state} {task['DesiredState']}")
    return " ".join(sorted(states))
