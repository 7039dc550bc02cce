"""Connections of the Docker SDK, made in one place because of two surprises with TLS.

`requests` prefers REQUESTS_CA_BUNDLE and proxy variables of the environment over the
certificate authority that the SDK was given (psf/requests#3829). On machines that set them, an
engine that answers `docker` would refuse the SDK. So our own connections ignore them.

An engine may close a connection just when the next question is sent on it. Asking again is safe
for questions (GET), so they are asked again; whatever changes something is not.
"""

import logging

import docker
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.tls import TLSConfig
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from dockyard.settings import patience

#: A question that is asked again is no news to a learner, on whose screen this would be printed.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


def connect(url: str, tls: TLSConfig | None, timeout: float) -> docker.DockerClient:
    """A client of the engine at *url*, in the newest version of the API that both know.

    Args:
        url: as in DOCKER_HOST.
        tls: keys, for an engine that asks for them.
        timeout: seconds for one call, on an ordinary machine (DOCKYARD_PATIENCE).

    Raises:
        DockerException, OSError: nothing answers there.
    """
    if tls is None:
        client = docker.DockerClient(base_url=url, timeout=int(timeout * patience()))
        client.api.trust_env = False  # looking for proxies takes longer than the engine's answer
        return client
    client = connect_unasked(url, tls, timeout)
    version = client.version(api_version=False)["ApiVersion"]
    if version == client.api.api_version:
        return client
    return connect_unasked(url, tls, timeout, version)


def connect_unasked(
    url: str, tls: TLSConfig, timeout: float, version: str = DEFAULT_DOCKER_API_VERSION
) -> docker.DockerClient:
    """A client for one version of the API; nothing is asked of the engine yet."""
    client = docker.DockerClient(
        base_url=url, tls=tls, timeout=int(timeout * patience()), version=version
    )
    client.api.trust_env = False
    again = Retry(total=None, connect=0, read=3, status=0, other=0, allowed_methods={"GET", "HEAD"})
    client.api.mount("https://", HTTPAdapter(max_retries=again))
    return client
