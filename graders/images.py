"""Images on the lab's hosts, and the layers that they are made of."""

import shlex
from collections.abc import Callable
from typing import Any

from docker.errors import ImageNotFound
from docker.models.containers import Container
from docker.models.images import Image
from testinfra.host import Host


class Images:
    """The images of the lab's hosts; *host* is the lab's first one unless it is said."""

    def __init__(self, lab: Any, on_host: Callable[[str], Host]) -> None:
        self.lab = lab
        self._on_host = on_host

    def there(self, host: str | None = None) -> list[Image]:
        """All images of a host, without the steps in between."""
        found: list[Image] = self._client(host).images.list()
        return found

    def find(self, name: str, host: str | None = None) -> Image | None:
        """The image that a name means at this moment."""
        try:
            return self._client(host).images.get(name)
        except ImageNotFound:
            return None

    def more_than(self, base: str, image: Image | None) -> int:
        """How many bytes larger an image is than one of ours, whatever that's name means by now."""
        ours = int(self.lab.image(base).attrs["Size"])
        return int(image.attrs["Size"]) - ours if image else 0

    def of(self, container: Container, host: str | None = None) -> Image | None:
        """The image from which a container was really made, whatever its name means by now."""
        return self.find(str(container.attrs["Image"]), host)

    def files(self, image: Image, name: str, host: str | None = None) -> list[str]:
        """Where an image's layers hold files of that name, as paths of its host, uppermost first.

        A file that a later layer deletes is still there.
        """
        line = f"find {shlex.join(_layers(image))} -type f -name {shlex.quote(name)}"
        return self._on_host(host or self.lab.hosts[0]).run(line).stdout.splitlines()

    def holding(self, image: Image, text: str, host: str | None = None) -> list[str]:
        """The files in which an image's layers hold a text, also those that a later layer deletes.

        The layers that came with the lab, which are links into its store, are not looked at.
        """
        line = (
            f"for layer in {shlex.join(_layers(image))}; do"
            f' [ -L "$layer" ] || grep -rlsFe {shlex.quote(text)} "$layer"; done'
        )
        return self._on_host(host or self.lab.hosts[0]).run(line).stdout.splitlines()

    def content(self, image: Image, name: str, host: str | None = None) -> str:
        """A sum over the file of that name in an image; nothing where there is none."""
        found = self.files(image, name, host)
        if not found:
            return ""
        line = f"sha256sum {shlex.quote(found[0])}"
        return self._on_host(host or self.lab.hosts[0]).run(line).stdout.split(" ")[0]

    def _client(self, host: str | None) -> Any:
        return self.lab.client(host or self.lab.hosts[0])


def _layers(image: Image) -> list[str]:
    """The folders of an image's layers on its host, uppermost first."""
    image.reload()  # a listing does not tell the layers
    layers = image.attrs["GraphDriver"]["Data"] or {}
    folders = [layers.get("UpperDir", ""), *layers.get("LowerDir", "").split(":")]
    return [folder for folder in folders if folder]


def name_of(image: Image) -> str:
    """A name that people gave it, or its short ID."""
    return next(iter(image.tags), image.short_id.removeprefix("sha256:"))


def tag_in(name: str) -> str:
    """The tag that a name of an image says: "1" of "shop/web:1", nothing of "web" or an ID."""
    last = name.split("@")[0].rsplit("/", 1)[-1]
    return "" if last.startswith("sha256:") else last.partition(":")[2]
