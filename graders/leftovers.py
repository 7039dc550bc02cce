"""Old and new images, containers and volumes on a host, to see what a clean-up takes away.

Their labels say what made them (`ci`) and what is to stay (`keep`). No engine makes an image of
years ago, but it loads one that says it is.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import docker
from docker.errors import APIError, NotFound

from containers import PROBE_IMAGE, PROBE_LABEL

#: What is laid out: kind → name → labels.
THINGS = {
    "image": {
        "check/old:1": ["ci"],
        "check/old-to-keep:1": ["ci", "keep"],
        "check/old-of-others:1": [],
        "check/new:1": ["ci"],
    },
    "container": {"check-ended": ["ci"], "check-to-keep": ["ci", "keep"], "check-of-others": []},
    "volume": {"check-data": ["ci"], "check-to-keep": ["ci", "keep"], "check-of-others": []},
}
OLD = "2020-02-20T20:20:20Z"
MARK = {PROBE_LABEL: "leftovers"}


@contextmanager
def laid_out(client: docker.DockerClient) -> Iterator[None]:
    """Lay everything out; afterwards take it away again.

    Meanwhile each base image of the lab is in use, so that no clean-up, however rough, can take
    it: nobody could bring it back.
    """
    _take_away(client)
    bases = [tag for image in client.images.list("dockyard/*") for tag in image.tags]
    try:
        client.api.load_image(_archive(THINGS["image"], str(client.version()["Arch"])))
        for name, labels in THINGS["volume"].items():
            client.volumes.create(name, labels=dict.fromkeys(labels, ""))
        with ThreadPoolExecutor(max_workers=4) as pool:
            run = [
                pool.submit(_run, client, PROBE_IMAGE, "true", labels, name)
                for name, labels in THINGS["container"].items()
            ]
            run += [pool.submit(_run, client, base, "sleep", ["ci"], None) for base in bases]
        for each in run[: len(THINGS["container"])]:
            each.result().wait()
        yield
    finally:
        _take_away(client)


def what_is_there(client: docker.DockerClient) -> set[str]:
    """Which of the things are there, such as "image check/old:1"."""
    found = [f"image {tag}" for image in client.images.list("check/*") for tag in image.tags]
    ended = client.containers.list(all=True, ignore_removed=True, filters={"name": "^check-"})
    found += [f"container {each.name}" for each in ended]
    found += [f"volume {each.name}" for each in client.volumes.list(filters={"name": "check-"})]
    return set(found)


def everything(*, to_go: bool) -> set[str]:
    """The things that a clean-up by the rule takes away, or those that it leaves."""
    rule = {
        f"{kind} {name}": labels == ["ci"] and name != "check/new:1"
        for kind, names in THINGS.items()
        for name, labels in names.items()
    }
    return {name for name, goes in rule.items() if goes == to_go}


def _run(
    client: docker.DockerClient, image: str, program: str, labels: list[str], name: str | None
) -> Any:
    return client.containers.run(
        image, ["infinity"], entrypoint=program, name=name, detach=True, network_mode="none",
        labels={**MARK, **dict.fromkeys(labels, "")},
    )  # fmt: skip


def _take_away(client: docker.DockerClient) -> None:
    marked = {"label": f"{PROBE_LABEL}={MARK[PROBE_LABEL]}"}
    for container in client.containers.list(all=True, ignore_removed=True, filters=marked):
        with suppress(APIError):
            container.remove(force=True, v=True)
    for name in THINGS["image"]:
        with suppress(NotFound):
            client.images.remove(name, force=True)
    for name in THINGS["volume"]:
        with suppress(NotFound):
            client.volumes.get(name).remove()


def _archive(images: dict[str, list[str]], architecture: str) -> bytes:
    """Images as `docker load` reads them: one small layer each, with its date and its labels."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def add(name: str, data: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

        manifest = []
        for name, labels in images.items():
            key = name.replace("/", "-").replace(":", "-")
            layer = io.BytesIO()
            with tarfile.open(fileobj=layer, mode="w") as content:
                content.addfile(tarfile.TarInfo(key))
            config = {
                "architecture": architecture,
                "os": "linux",
                "created": OLD if "old" in name else datetime.now(UTC).isoformat(),
                "config": {"Labels": dict.fromkeys(labels, "")},
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"],
                },
            }
            add(f"{key}.tar", layer.getvalue())
            add(f"{key}.json", json.dumps(config).encode())
            manifest.append({"Config": f"{key}.json", "RepoTags": [name], "Layers": [f"{key}.tar"]})
        add("manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()
