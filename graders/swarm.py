"""The swarm that a lab's hosts form: nodes, services, tasks."""

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError
from docker.models.networks import Network
from docker.models.nodes import Node
from docker.models.services import Service

#: Task states on the way to "running".
UNDERWAY = {"new", "allocated", "assigned", "accepted", "preparing", "ready", "starting"}
#: Seconds that tasks under way get to arrive. A node whose first task on an overlay starts right
#: after its join may wait 30 s for the network's first synchronisation (moby/moby#47396).
SETTLE = 45
PENDING = 4  # seconds in which the scheduler finds a node, if there is one
HEAL = 15  # seconds in which swarm has to replace what was killed
UPDATE = 90  # seconds for a rolling update


@dataclass(frozen=True)
class Task:
    """One task of a service, and where it runs."""

    id: str
    state: str
    wanted: bool
    node: str
    container: str
    error: str = ""

    @property
    def runs(self) -> bool:
        return self.wanted and self.state == "running"


@dataclass(frozen=True)
class Healed:
    """Where a killed task was replaced, if it was, and what was found of the service."""

    node: str | None
    found: str


class Swarm:
    """The swarm that the lab's hosts form, seen from its manager; empty where there is none."""

    def __init__(self, lab: Any, wait_until: Callable[..., Any]) -> None:
        self.lab = lab
        self._wait_until = wait_until
        self.managers = [host for host in lab.hosts if _is_manager(lab.client(host))]

    @property
    def client(self) -> docker.DockerClient:
        return self.lab.client(self.managers[0])

    @property
    def nodes(self) -> list[Node]:
        return self.client.nodes.list() if self.managers else []

    def node(self, hostname: str) -> Node | None:
        return next((node for node in self.nodes if hostname_of(node) == hostname), None)

    def describe_nodes(self) -> str:
        return _list(
            f"{hostname_of(node)} {node.attrs['Status']['State']}, {node.attrs['Spec']['Role']}, "
            f"{node.attrs['Spec']['Availability']}"
            for node in self.nodes
        )

    @property
    def services(self) -> list[Service]:
        return self.client.services.list() if self.managers else []

    def service(self, role: str) -> Service | None:
        """The service that plays a part of the Voting App: by its name or by its image."""
        for service in self.services:
            image = container_spec(service)["Image"].split("@")[0].rsplit(":", 1)[0]
            if role == service.name.split("_")[-1] or image.endswith(("/" + role, "_" + role)):
                return service
        return None

    def tasks(self, service: Service) -> list[Task]:
        names = {node.id: hostname_of(node) for node in self.nodes}
        return [
            Task(
                id=task["ID"],
                state=task["Status"]["State"],
                wanted=task["DesiredState"] == "running",
                node=names.get(task.get("NodeID", ""), ""),
                container=task["Status"].get("ContainerStatus", {}).get("ContainerID", ""),
                error=task["Status"].get("Err", ""),
            )
            for task in service.tasks()
        ]

    def running(self, service: Service) -> list[Task]:
        """The service's running tasks, once nothing of it is under way any more."""

        def none_is(*states: str) -> bool:
            return not any(task.wanted and task.state in states for task in self.tasks(service))

        with suppress(TimeoutError):  # what has not arrived by then does not count as running
            self._wait_until(lambda: none_is("pending"), PENDING)
        with suppress(TimeoutError):
            self._wait_until(lambda: none_is(*UNDERWAY), SETTLE)
        return [task for task in self.tasks(service) if task.runs]

    def describe_tasks(self, service: Service) -> str:
        wanted = [task for task in self.tasks(service) if task.wanted]
        return f"{service.name}: " + _list(
            f"{task.state}{' on ' + task.node if task.node else ''}" for task in wanted
        )

    def eligible_nodes(self, service: Service) -> list[str]:
        """The hostnames of the nodes on which the service's constraints let it run."""
        asked = constraints(service)
        return [hostname_of(n) for n in self.nodes if all(_meets(n, each) for each in asked)]

    def places_for_more(self, services: list[Service]) -> dict[str, str]:
        """Where the scheduler puts one more task of each service; "" where it finds no node.

        The tasks are taken away again at once. Services that run one task a node are passed over.
        """
        services = [each for each in services if "Replicated" in each.attrs["Spec"]["Mode"]]
        wanted = {each.id: replicas(each) for each in services}
        before = {each.id: {task.id for task in self.tasks(each)} for each in services}

        def added(service: Service) -> Task | None:
            now = self.tasks(service)
            return next((task for task in now if task.id not in before[service.id]), None)

        def placed(service: Service) -> bool:
            task = added(service)
            return task is not None and bool(task.node or task.error)

        def alive(service: Service) -> bool:
            task = added(service)
            return task is not None and task.state in {*UNDERWAY, "running"}

        try:
            for each in services:
                _scale(each, wanted[each.id] + 1)
            with suppress(TimeoutError):
                self._wait_until(lambda: all(map(placed, services)), SETTLE)
            return {each.name: task.node for each in services if (task := added(each))}
        finally:
            for each in services:
                _scale(each, wanted[each.id])
            with suppress(TimeoutError):
                self._wait_until(lambda: not any(map(alive, services)), SETTLE)

    def kill(self, task: Task) -> None:
        """End a task's container the hard way."""
        self.lab.client(task.node).containers.get(task.container).kill()

    def replacement_of(self, task: Task, service: Service) -> Task | None:
        """Wait until swarm has put a running task in the place of *task*; None if it does not."""

        def replaced() -> Task | None:
            now = [each for each in self.tasks(service) if each.runs]
            if len(now) < replicas(service) or task.id in {each.id for each in now}:
                return None
            return next((each for each in now if each.node == task.node), now[0])

        try:
            return self._wait_until(replaced, HEAL)
        except TimeoutError:
            return None

    def kill_and_wait(self, service: Service) -> "Healed":
        """Kill one task's container; where swarm does not replace it in time, we do."""
        victim = self.running(service)[0]
        self.kill(victim)
        healed = self.replacement_of(victim, service)
        if healed:
            return Healed(healed.node, f"replaced on {healed.node}")
        found = self.describe_tasks(service)
        self.redeploy(service)  # what we broke, we mend
        return Healed(None, found)

    def lacking(self, roles: list[str]) -> str:
        """Which of these services are missing, or run fewer tasks than they want; "" for none."""
        problems = []
        for role in roles:
            service = self.service(role)
            if not service:
                problems.append(f"no service for {role}")
            elif len(self.running(service)) < max(replicas(service), 1):
                problems.append(self.describe_tasks(service))
        return "; ".join(problems)

    def shared_networks(self, roles: list[str]) -> list[Network]:
        """The networks on which all these services are, from the manager's view."""
        used = []
        for role in roles:
            spec = self.service(role).attrs["Spec"]
            networks = spec["TaskTemplate"].get("Networks") or spec.get("Networks") or []
            used.append({each["Target"] for each in networks})
        shared = set.intersection(*used)
        return [each for each in self.client.networks.list() if {each.id, each.name} & shared]

    @contextmanager
    def without(self, node: Node) -> Iterator[None]:
        """Drain a node; afterwards bring it, and the tasks that it had, back."""
        name = hostname_of(node)
        had = {s.id: sum(t.node == name for t in self.running(s)) for s in self.services}
        _set_availability(node, "drain")
        try:
            self._wait_until(lambda: not self._runs_anything(node), SETTLE)
            yield
        finally:
            _set_availability(node, "active")
            for service in self.services:
                # Swarm moves no task back by itself: neither one that found another node, nor
                # one that found none, because each host's port was taken.
                here = sum(task.node == name for task in self.running(service))
                if here < had[service.id] and replicas(service) > 1:
                    self.redeploy(service)

    def redeploy(self, service: Service) -> bool:
        """Replace all tasks of a service as its update policy says; False if that does not end."""
        before = {task.id for task in self.tasks(service)}

        def replaced() -> bool:
            now = {task.id for task in self.tasks(service) if task.runs}
            return len(now) >= replicas(service) and not now & before

        self.settle(service)  # two updates at once would take away more than one does
        service.reload()
        service.force_update()
        try:
            self._wait_until(replaced, UPDATE)
        except TimeoutError:
            return False
        return True

    def settle(self, service: Service) -> None:
        """Wait until no update of the service is under way."""

        def calm() -> bool:
            service.reload()
            return service.attrs.get("UpdateStatus", {}).get("State") != "updating"

        with suppress(TimeoutError):
            self._wait_until(calm, UPDATE)

    def _runs_anything(self, node: Node) -> bool:
        # A task that is no longer wanted works on until its container has ended.
        tasks = self.client.api.tasks(filters={"node": node.id})
        return any(task["Status"]["State"] == "running" for task in tasks)


def _is_manager(client: docker.DockerClient) -> bool:
    """One short question; `docker info` takes ten times as long, for it starts runc and others."""
    try:
        return bool(client.api.inspect_swarm())
    except APIError as error:
        if error.status_code == 503:  # "This node is not a swarm manager"
            return False
        raise


def hostname_of(node: Node) -> str:
    return str(node.attrs["Description"]["Hostname"])


def container_spec(service: Service) -> dict[str, Any]:
    return dict(service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"])


def replicas(service: Service) -> int:
    """How many tasks the service wants; one for each node counts as one."""
    return int(service.attrs["Spec"]["Mode"].get("Replicated", {}).get("Replicas", 1))


def constraints(service: Service) -> list[str]:
    """What the service asks of the node that runs it, such as "node.role==manager"."""
    placement = service.attrs["Spec"]["TaskTemplate"].get("Placement") or {}
    return list(placement.get("Constraints") or [])


def _scale(service: Service, number: int) -> None:
    """Not `service.scale`: that fills defaults in, for which swarm replaces all tasks."""
    service.reload()
    spec = service.attrs["Spec"]
    service.client.api.update_service(
        service.id,
        service.version,
        spec["TaskTemplate"],
        spec["Name"],
        spec["Labels"],
        {"Replicated": {"Replicas": number}},
        endpoint_spec=spec.get("EndpointSpec"),
        update_config=spec.get("UpdateConfig"),
        rollback_config=spec.get("RollbackConfig"),
    )


def _set_availability(node: Node, availability: str) -> None:
    for left in reversed(range(10)):
        node.reload()
        try:
            node.update({**node.attrs["Spec"], "Availability": availability})
        except APIError as error:
            # The swarm itself has noted something of the node since it was asked.
            if not left or "out of sequence" not in str(error.explanation):
                raise
        else:
            return


def _meets(node: Node, constraint: str) -> bool:
    """Source: Docker documentation, `docker service create --constraint`."""
    holds = operator.ne if "!=" in constraint else operator.eq
    key, _, value = (part.strip() for part in constraint.replace("!=", "==").partition("=="))
    spec, seen = node.attrs["Spec"], node.attrs["Description"]
    facts = {
        "node.id": node.id,
        "node.hostname": seen["Hostname"],
        "node.role": spec["Role"],
        "node.platform.os": seen["Platform"]["OS"],
        "node.platform.arch": seen["Platform"]["Architecture"],
        **{f"node.labels.{name}": text for name, text in (spec.get("Labels") or {}).items()},
    }
    return bool(holds(facts.get(key), value))


def _list(parts: Iterator[str]) -> str:
    return "; ".join(parts) or "none"
