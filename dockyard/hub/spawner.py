"""How the hub makes a place: a container with JupyterLab and the kit, and no engine."""

import asyncio
from typing import Any

from dockerspawner import DockerSpawner
from traitlets import default

from dockyard.hub import places
from dockyard.recipes import recipe

#: What a place may use; a kernel and JupyterLab take 70 MiB and less than a tenth of a core.
MEMORY, CORES, PROCESSES = "1G", 1.0, 512
START_TIMEOUT = 120  # seconds, with 30 that start at once


class Place(DockerSpawner):  # type: ignore[misc]
    """One learner's JupyterLab.

    It has no capability, no socket and a network of its own; the desk lets it into the networks
    of its learner's labs, and of nobody else's.
    """

    async def start(self) -> Any:
        learner = self.user.name
        self.network_name, home, kit = await asyncio.to_thread(places.prepare, learner)
        self.volumes = {home: "/home/learner", kit: {"bind": "/kit", "mode": "ro"}}
        self.extra_create_kwargs = {"labels": places.labels(learner)}
        return await super().start()

    @default("name_template")
    def _name(self) -> str:
        return places.container_name(self.user.name)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.image, self.pull_policy = recipe(places.IMAGE).tag, "Never"
        self.use_internal_ip = self.remove = True
        self.start_timeout = self.http_timeout = START_TIMEOUT
        self.mem_limit, self.cpu_limit = MEMORY, CORES
        self.extra_host_config = {
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "read_only": True,
            "tmpfs": {"/tmp": "mode=1777,size=256m"},  # noqa: S108 (the place's own)
            "pids_limit": PROCESSES,
            "memswap_limit": MEMORY,
        }
