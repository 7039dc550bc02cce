"""cAdvisor, as anybody meets it: through its API, on a published port of a host."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import requests
from docker.models.containers import Container

FRESH = 10  # seconds in which a new figure of a container has to come
SPAN = 5  # seconds over which a mean is taken


class Sample(NamedTuple):
    """One figure of a container: its work, and its waits for the processor, since its start."""

    time: datetime
    nanoseconds: int
    throttled: int


class Usage(NamedTuple):
    """What a container used of the processors, over the last seconds."""

    cores: float
    throttled: int


class Cadvisor:
    """cAdvisor on the lab's first host."""

    PORT = 8080

    def __init__(self, lab: Any, wait_until: Callable[..., Any]) -> None:
        self.lab = lab
        self._wait_until = wait_until

    def groups(self) -> dict[str, list[Sample]] | None:
        """The figures of each of Docker's containers, by control group; None without an answer."""
        try:
            url = self.lab.url(self.lab.hosts[0], self.PORT)
            answer = requests.get(f"{url}/api/v1.3/docker", timeout=5)
            answer.raise_for_status()
            return {
                group: [_sample(each) for each in container.get("stats") or []]
                for group, container in answer.json().items()
            }
        except (requests.RequestException, ValueError, LookupError, AttributeError, TypeError):
            return None  # nobody, or somebody else, answers there

    def samples(self, container: Container) -> list[Sample]:
        """A container's figures, oldest first; at most a minute of them."""
        groups = self.groups() or {}
        return next((groups[each] for each in groups if str(container.id) in each), [])

    def is_up_to_date(self, containers: list[Container]) -> bool:
        """Whether there is soon a newer figure of each container than there is now."""
        before = [self.samples(each)[-1:] for each in containers]

        def newer() -> bool:
            now = [self.samples(each)[-1:] for each in containers]
            return all(new and new != old for new, old in zip(now, before, strict=True))

        try:
            return bool(self._wait_until(newer, FRESH))
        except TimeoutError:
            return False

    def usage(self, container: Container) -> Usage | None:
        """What a container used lately; None as long as there are too few figures."""
        samples = self.samples(container)
        for first in reversed(samples):
            last = samples[-1]
            seconds = (last.time - first.time).total_seconds()
            if seconds >= SPAN:
                cores = (last.nanoseconds - first.nanoseconds) / 1e9 / seconds
                return Usage(cores, last.throttled - first.throttled)
        return None


def _sample(figures: dict[str, Any]) -> Sample:
    cpu = figures["cpu"]
    waits = cpu.get("cfs", {}).get("throttled_periods", 0)
    return Sample(datetime.fromisoformat(figures["timestamp"]), cpu["usage"]["total"], waits)
