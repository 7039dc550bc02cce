"""A registry on a host of the lab, as another host's engine meets it."""

from typing import Any

from docker.errors import APIError

from containers import Containers

ROOT = "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"
LOOPBACK = {"127.0.0.0/8", "::1/128"}  # of these, an engine asks for no certificate by itself


class Registry:
    """The registry that a host runs on port 5000."""

    def __init__(self, containers: Containers, host: str) -> None:
        self._containers = containers
        self._host = host
        self.address = f"{host}:5000"

    def answer_to_stranger(self, client: Any) -> str:
        """What an engine is told that logs in with a made-up name and password."""
        try:
            client.login("stranger", "guess", registry=self.address, reauth=True)
        except APIError as error:
            return str(error.explanation)
        return "login succeeded"

    def trusted_blindly(self, client: Any) -> list[str]:
        """The registries from which an engine wants no proof of who they are."""
        config = client.info()["RegistryConfig"]
        names = [name for name, each in config["IndexConfigs"].items() if not each["Secure"]]
        return names + sorted(set(config["InsecureRegistryCIDRs"]) - LOOPBACK)

    def holds(self, digest: str) -> bool:
        """Whether an image, or a layer, with the digest is in the registry's store."""
        container = self._containers.playing("registry", self._host)
        if container is None:
            return False
        settings = dict(each.partition("=")[::2] for each in container.attrs["Config"]["Env"])
        root = settings.get(ROOT, "/var/lib/docker-registry")
        path = f"{root}/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
        return self._containers.read(container, path) is not None
