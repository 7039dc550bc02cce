"""In a place, labs answer at the same loopback ports as on a machine of one's own."""

import subprocess
from collections.abc import Iterator

from dockyard.hub.protocol import ToldLab
from dockyard.lab import is_port_free
from dockyard.waiting import wait_until

START_TIMEOUT = 10  # seconds
#: Connections at once to one port; a page opens some ten.
MOST = 64


def ensure(told: ToldLab) -> None:
    """Make sure that each port of a lab leads to its host; the forwarders outlive this process.

    Raises:
        OSError, TimeoutError: they do not start.
    """
    missing = [way for way in _ways(told) if is_port_free(way[0])]
    for local, name, port in missing:
        subprocess.Popen(
            [
                "socat",
                f"TCP-LISTEN:{local},bind=127.0.0.1,reuseaddr,fork,max-children={MOST}",
                f"TCP:{name}:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    for local, _, _ in missing:
        wait_until(lambda local=local: not is_port_free(local), START_TIMEOUT)  # type: ignore[misc]


def _ways(told: ToldLab) -> Iterator[tuple[int, str, int]]:
    for host, ports in told.ports.items():
        for port, local in ports.items():
            yield local, told.names[host], port
