"""A learner's pipeline, tried with commits of ours.

The runner is the container that has the engine's socket; in the folder in which it works lie the
source and `pipeline.sh`. A trial runs in a container of ours, made like the runner, on a copy of
the source in which some files are changed: the learner's own source stays as it is.
"""

import io
import re
import secrets
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from docker.errors import APIError, BuildError, NotFound
from docker.models.containers import Container
from docker.models.images import Image

import leftovers
from containers import PROBE_LABEL, Containers

SOCKET = "/var/run/docker.sock"
PAGE = "check-page:1"
TRIAL = 180  # seconds for one run of the pipeline
CALM = 5  # seconds in which the engine has removed what ran with --rm

Files = dict[str, bytes]


@dataclass
class Trial:
    """How one run went.

    Attributes:
        version: what the pipeline was asked to release.
        status: how it ended, 0 is green; None: it did not end.
        left: what was there afterwards and not before.
    """

    version: str
    status: int | None = None
    output: str = ""
    left: list[str] = field(default_factory=list)

    @property
    def is_green(self) -> bool:
        return self.status == 0

    @property
    def is_red(self) -> bool:
        return self.status not in (0, None)

    def __str__(self) -> str:
        if self.status is None:
            return f"not over after {TRIAL} s"
        plain = re.sub("\x1b\\[[0-9;]*m", "", self.output)  # without colours
        lines = [line.strip() for line in plain.splitlines() if line.strip()]
        colour = "green" if self.is_green else f"red (exit status {self.status})"
        return f'{colour}, last line "{lines[-1][:160]}"' if lines else colour


class Pipeline:
    """The pipeline in the learner's runner."""

    def __init__(self, lab: Any, containers: Containers, wait_until: Callable[..., Any]) -> None:
        self.client = lab.client(lab.hosts[0])
        self._containers = containers
        self._wait_until = wait_until

    @property
    def runner(self) -> Container | None:
        """The container that has the engine's socket, and a folder to work in."""
        for each in self._containers.there():
            mounted = {mount.get("Destination") for mount in each.attrs["Mounts"]}
            if SOCKET in mounted and _folder(each):
                return each
        return None

    @property
    def source(self) -> Files:
        """The files in the runner's folder; none where there is no runner."""
        runner = self.runner
        files = self._containers.files(runner, f"{_folder(runner)}/.") if runner else {}
        return {name.removeprefix("./"): content for name, content in files.items()}

    def describe(self) -> str:
        """What there is of it, for a learner."""
        runner = self.runner
        if runner is None:
            return f"no running container has {SOCKET} and a folder to work in"
        return f'in "{runner.name}": {", ".join(sorted(self.source)) or "no files"}'

    @contextmanager
    def page(self) -> Iterator[Container | None]:
        """What a plain `docker build` makes of the source, running; None: it cannot be built."""
        try:
            image, _ = self.client.images.build(
                fileobj=_tar(self.source), custom_context=True, tag=PAGE, rm=True, forcerm=True
            )
        except (BuildError, APIError):
            yield None
            return
        page = self.client.containers.create(image, labels={PROBE_LABEL: "1"})
        try:
            with suppress(APIError):  # such as a command that is not there
                page.start()
            yield page
        finally:
            page.remove(force=True, v=True)
            self.client.images.remove(PAGE, force=True)

    def run(self, change: Files) -> Trial:
        """Run the pipeline to its end, on the source with some files changed."""
        trial = Trial(f"check-{secrets.token_hex(3)}")
        before = self._things()
        with self.running(change, trial.version) as run:
            with suppress(TimeoutError):
                self._wait_until(lambda: _has_ended(run), TRIAL)
                trial.status = int(run.attrs["State"]["ExitCode"])
            trial.output = run.logs().decode(errors="replace")
            with suppress(TimeoutError):
                self._wait_until(lambda: self._things().keys() <= before.keys(), CALM)
            trial.left = sorted(self._things().keys() - before.keys())
        return trial

    @contextmanager
    def running(self, change: Files, version: str) -> Iterator[Container]:
        """The pipeline, started; afterwards, all that it has made is removed."""
        before, images = self._things(), self.client.images.list()
        try:
            with self.beside_the_runner("pipeline.sh", version, change=change) as run:
                yield run
        finally:
            self._remove_all_but(before, images, version)

    def _remove_all_but(self, before: dict[str, Any], images: list[Image], version: str) -> None:
        for name, thing in self._things().items():
            if name not in before:
                with suppress(APIError):  # it went by itself
                    thing.remove(**({"force": True, "v": True} if name[0] == "c" else {}))
        for image in self.client.images.list():
            ours = [tag for tag in image.tags if version in tag]
            for name in ours if image.tags else [image.id] * (image not in images):
                with suppress(APIError):
                    self.client.images.remove(name, force=True)

    @contextmanager
    def beside_the_runner(self, *script: str, change: Files | None = None) -> Iterator[Container]:
        """A script of the source, started in a container made like the runner."""
        runner = self.runner
        assert runner is not None, "criteria need a runner before they try it"
        config, folder = runner.attrs["Config"], _folder(runner)
        files = {**self.source, **(change or {})}
        run = self.client.containers.create(
            runner.attrs["Image"],
            list(script),
            entrypoint=["bash"],
            working_dir=f"/{folder}",
            environment=config.get("Env"),
            user=config.get("User"),
            network_mode=runner.attrs["HostConfig"]["NetworkMode"],
            volumes=[f"{SOCKET}:{SOCKET}"],
            labels={PROBE_LABEL: "1"},
        )
        try:
            run.put_archive("/", _tar({f"{folder}/{name}": files[name] for name in files}))
            run.start()
            yield run
        finally:
            run.remove(force=True, v=True)

    def bases(self, change: Files, bases: list[str]) -> tuple[set[str], set[str]]:
        """Of which *bases* the containers of a run are made: in all, and at the same moment.

        The run is ended as soon as each base was seen, so its containers had better take long.
        """
        layers = {base: self.layers(base) for base in bases}
        before = {each.id for each in self._containers.there()}
        seen: set[str] = set()
        together: set[str] = set()

        def is_enough() -> bool:
            new = [each for each in self._containers.there() if each.id not in before]
            made_of = [self.layers(each.attrs["Image"]) for each in new]
            now = {b for b in bases if any(made[: len(layers[b])] == layers[b] for made in made_of)}
            seen.update(now)
            together.update(now if len(now) > len(together) else [])
            return len(seen) == len(bases) or _has_ended(run)

        with self.running(change, f"check-{secrets.token_hex(3)}") as run, suppress(TimeoutError):
            self._wait_until(is_enough, TRIAL)
        return seen, together

    def prune(self) -> set[str]:
        """What is there, of things laid out for it, after a run of the learner's prune.sh."""
        with leftovers.laid_out(self.client):
            with self.beside_the_runner("prune.sh") as run, suppress(TimeoutError):
                self._wait_until(lambda: _has_ended(run), TRIAL)
            return leftovers.what_is_there(self.client)

    def layers(self, image: str) -> list[str]:
        """An image's layers, the lowest first; none where there is no such image."""
        try:
            return list(self.client.images.get(image).attrs["RootFS"]["Layers"])
        except NotFound:
            return []

    def pushed(self, repository: str, version: str) -> list[str]:
        """The layers of what a registry has under that name; none where it has nothing."""
        try:
            image = self.client.images.pull(repository, tag=version)
        except APIError:  # nor is there perhaps a registry
            return []
        with suppress(APIError):
            self.client.images.remove(f"{repository}:{version}")
        return list(image.attrs["RootFS"]["Layers"])

    def _things(self) -> dict[str, Any]:
        """All that a run could leave behind, except images; containers first."""
        return {
            **{f"container {each.name}": each for each in self._containers.there(stopped=True)},
            **{f"network {each.name}": each for each in self.client.networks.list()},
            **{f"volume {each.name[:12]}": each for each in self.client.volumes.list()},
        }


def _folder(container: Container) -> str:
    """Where a container works, without the first slash; nothing where that is the root."""
    return str(container.attrs["Config"]["WorkingDir"]).strip("/")


def _has_ended(container: Container) -> bool:
    container.reload()
    return bool(container.status == "exited")


def _tar(files: Files) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    return buffer
