"""How the hub makes a place: a container with JupyterLab and the kit, and no engine."""

import asyncio
from typing import Any

from dockerspawner import DockerSpawner

from dockyard.hub import places
from dockyard.recipes import recipe

#: What a place may use; a kernel and JupyterLab take 70 MiB and less than a tenth of a core.
MEMORY, CORES, PROCESSES = "1G", 1.0, 512


class Place(DockerSpawner):  # type: ignore[misc]
    """One learner's JupyterLab.

    It has no capability, no socket and a network of its own; the desk lets it into the networks
    of its learner's labs, and of nobody else's.
    """

    async def start(self) -> Any:
        network, home, kit = await asyncio.to_thread(places.prepare, self.user.name)
        self.network_name = network
        self.volumes = {home: "/home/learner", kit: {"bind": "/kit", "mode": "ro"}}
        return await super().start()

    def configure(self) -> None:
        """What all places have in common."""
        learner = self.user.name
        self.image = recipe(places.IMAGE).tag
        self.name_template = places.container_name(learner)
        self.extra_create_kwargs = {"labels": places.labels(learner)}
        self.extra_host_config = {
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "read_only": True,
            "tmpfs": {"/tmp": "mode=1777,size=256m"},  # noqa: S108 (the place's own)
            "pids_limit": PROCESSES,
            "memswap_limit": MEMORY,
        }

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.user:  # the hub also makes one of nobody's, to read its settings
            self.configure()
        self.mem_limit, self.cpu_limit = MEMORY, CORES
        self.use_internal_ip = True
        self.remove = True
        self.pull_policy = "Never"
        self.start_timeout = self.http_timeout = 120
