"""The outer engine: find the one that answers, or run the embedded one."""

import os
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.context import ContextAPI
from docker.errors import DockerException
from docker.tls import TLSConfig

from dockyard import embedded, sdk, settings
from dockyard.errors import EngineError
from dockyard.lab import LAB_MARK
from dockyard.settings import Say, quiet

ANSWER_TIMEOUT = 5  # seconds
CALL_TIMEOUT = 120  # seconds; starting a container on a busy machine takes some


@dataclass(frozen=True)
class Endpoint:
    """One place where an engine may be."""

    found_by: str
    url: str
    cert_path: str | None = None
    #: A person named this one, so its silence is an error and not a reason to look further.
    named: bool = False

    def client(self, timeout: float) -> docker.DockerClient:
        return sdk.connect(self.url, self._tls(), timeout)

    def _tls(self) -> TLSConfig | None:
        if not self.cert_path:
            return None
        folder = Path(self.cert_path)
        return TLSConfig(
            client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
            ca_cert=str(folder / "ca.pem"),
            verify=True,
        )

    def answers(self) -> bool:
        try:
            return bool(self.client(ANSWER_TIMEOUT).ping())
        except (DockerException, OSError):
            return False


def connect(say: Say = quiet) -> docker.DockerClient:
    """A client of the outer engine; starts the embedded one where none answers.

    Raises:
        EngineError: none answers, and none can be started.
    """
    return find(say).client(CALL_TIMEOUT)


def find(say: Say = quiet) -> Endpoint:
    """The outer engine, in the order in which `docker` itself would look, then the embedded.

    Raises:
        EngineError: none answers, and none can be started.
    """
    if settings.desk():
        raise EngineError("The hub keeps your labs; this takes the engine of its machine.")
    if endpoint := first_that_answers():
        return endpoint
    embedded.ensure_installed([endpoint.url for endpoint in candidates()], say)
    # On a machine with systemd the package starts an engine: then that one answers now.
    if endpoint := first_that_answers():
        return endpoint
    embedded.ensure_running(say)
    return embedded_endpoint()


def first_that_answers() -> Endpoint | None:
    """The best engine that answers now, if any.

    Raises:
        EngineError: a person named an engine, and it does not answer.
    """
    for endpoint in candidates():
        if endpoint.answers():
            return endpoint
        if endpoint.named:
            raise EngineError(
                f'No engine answers at "{endpoint.url}" (from {endpoint.found_by}). '
                "Start it, or unset that to let Dockyard look elsewhere."
            )
    return None


def candidates() -> list[Endpoint]:
    """Where an engine may answer, best first; up to the first one that a person named."""
    named = _from_environment()
    if named:
        return [named]
    if os.environ.get("DOCKYARD_ENGINE_HOST") == "embedded" or embedded.is_installed_here():
        return [embedded_endpoint()]
    context = ContextAPI.get_current_context()
    if context and context.name != "default":
        return [Endpoint(f'docker context "{context.name}"', str(context.Host), named=True)]
    sockets = [Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere") / "docker.sock"]
    sockets.append(Path("/var/run/docker.sock"))
    return [Endpoint("the usual socket", f"unix://{path}") for path in sockets if path.exists()]


def embedded_endpoint() -> Endpoint:
    """The engine that Dockyard runs itself."""
    return Endpoint("Dockyard's embedded engine", f"unix://{embedded.socket_path()}")


def _from_environment() -> Endpoint | None:
    prefixes = ["DOCKYARD_ENGINE_"] + ([] if LAB_MARK in os.environ else ["DOCKER_"])
    for prefix in prefixes:
        url = os.environ.get(f"{prefix}HOST")
        if url and url != "embedded":
            secured = os.environ.get(f"{prefix}TLS_VERIFY") or url.endswith(":2376")
            cert_path = os.environ.get(f"{prefix}CERT_PATH") or str(Path.home() / ".docker")
            return Endpoint(f"{prefix}HOST", url, cert_path if secured else None, named=True)
    return None
