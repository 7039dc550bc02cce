"""What a lab's hosts run, for people who look at it."""

import time
from collections.abc import Iterator

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from dockyard.lab import Lab, side_by_side
from dockyard.waiting import wait_until

#: Task states on the way to "running". Pending is not among them: such a task finds no node.
UNDERWAY = {"new", "allocated", "assigned", "accepted", "preparing", "ready", "starting"}
#: Seconds for which nothing may change before a swarm counts as settled: an update starts its
#: next task within this time.
CALM = 1.0


def modes(lab: Lab) -> dict[str, str]:
    """Variables for stack files: how to publish ports and to find services on this kernel.

    Without IPVS, neither the routing mesh nor virtual addresses answer.
    """
    if lab.has_routing_mesh:
        return {"PUBLISH_MODE": "ingress", "ENDPOINT_MODE": "vip"}
    return {"PUBLISH_MODE": "host", "ENDPOINT_MODE": "dnsrr"}


def running_on(lab: Lab) -> dict[str, list[str]]:
    """The names of the running containers of each host, short as services name them."""

    def names(host: str) -> list[str]:
        try:
            containers = lab.client(host).containers.list(ignore_removed=True)
        except (DockerException, RequestException):
            return ["(does not answer)"]
        return sorted(".".join(str(each.name).split(".")[:2]) for each in containers)

    return dict(zip(lab.hosts, side_by_side(names, lab.hosts), strict=True))


def settle(lab: Lab, timeout: float) -> None:
    """Wait until no service's tasks are under way any more, nor an update.

    Raises:
        TimeoutError: they still are.
    """
    calm_since = [time.monotonic()]

    def calm() -> bool:
        if any(_restless(client) for client in _managers(lab)):
            calm_since[0] = time.monotonic()
        return time.monotonic() - calm_since[0] > CALM

    wait_until(calm, timeout, "the services to settle")


def _managers(lab: Lab) -> Iterator[docker.DockerClient]:
    for host in lab.hosts:
        if lab.client(host).info()["Swarm"]["ControlAvailable"]:
            yield lab.client(host)
            return


def _restless(manager: docker.DockerClient) -> bool:
    for service in manager.services.list():
        if service.attrs.get("UpdateStatus", {}).get("State") == "updating":
            return True
        tasks = service.tasks()  # type: ignore[no-untyped-call]
        wanted = [task for task in tasks if task["DesiredState"] in ("running", "ready")]
        if any(task["Status"]["State"] in UNDERWAY for task in wanted):
            return True
    return False
