"""Starts the Voting App, afresh, on the host that DOCKER_HOST names: `python app.py`.

One of its five parts was given a second job, which runs beside what the part is for. Whose it is
depends on the lab: your neighbour's is another one, and so may be the one in the lab in which your
notebook is graded. Find it with what this lesson teaches; to read on here would spoil it.
"""

import io
import json
import os
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256

import docker
from docker.errors import APIError, NotFound

IMAGES = {
    "db": "postgres",
    "redis": "redis",
    "result": "result",
    "vote": "vote",
    "worker": "worker",
}
PORTS = {"vote": {"80/tcp": 5000}, "result": {"80/tcp": 5001}}
NETWORK = "voting"

START = """\
#!/bin/sh
nice -n 19 second-job &
exec "$@"
"""
NO_JOB = "#!/bin/sh\n"
#: Some three fifths of one core, and after everybody else.
JOB = """\
#!/bin/sh
while :; do
  count=400000
  while [ $((count -= 1)) -gt 0 ]; do :; done
  sleep 0.2
done
"""


def busy_part() -> str:
    """The part that has a second job in this lab."""
    if "DOCKYARD_LAB" not in os.environ:
        sys.exit('Choose a lab first: eval "$(dockyard env 05_monitoring node1)"')
    number = int(sha256(os.environ["DOCKYARD_LAB"].encode()).hexdigest(), 16)
    return sorted(IMAGES)[number % len(IMAGES)]


def build(client: docker.DockerClient, part: str, job: str) -> None:
    """Make the image `voting/<part>:1`: the part's own, and a start of ours before it."""
    base = f"dockyard/{IMAGES[part]}:1"
    own = client.images.get(base).attrs["Config"]
    dockerfile = (
        f"FROM {base}\n"
        "COPY start second-job /usr/local/bin/\n"
        f"ENTRYPOINT {json.dumps(['start', *(own['Entrypoint'] or [])])}\n"
        f"CMD {json.dumps(own['Cmd'] or [])}\n"
    )
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in {"Dockerfile": dockerfile, "start": START, "second-job": job}.items():
            file = tarfile.TarInfo(name)
            file.size, file.mode = len(text), 0o755
            tar.addfile(file, io.BytesIO(text.encode()))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=f"voting/{part}:1", rm=True)


def start(client: docker.DockerClient, part: str) -> None:
    """Run a part in the app's network, where the others find it by its name."""
    with suppress(NotFound):
        client.containers.get(part).remove(force=True, v=True)
    client.containers.run(
        f"voting/{part}:1", name=part, network=NETWORK, ports=PORTS.get(part), detach=True
    )
    print(f"{part} runs")


def main() -> None:
    client = docker.from_env()
    busy = busy_part()
    if not client.networks.list(names=[NETWORK]):
        client.networks.create(NETWORK)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda part: build(client, part, JOB if part == busy else NO_JOB), IMAGES))
        list(pool.map(lambda part: start(client, part), IMAGES))


if __name__ == "__main__":
    try:
        main()
    except APIError as error:
        sys.exit(f"The app could not be started: {error.explanation}")
