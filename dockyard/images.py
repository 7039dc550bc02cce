"""The images of the labs: built from images/, once, or replaced by a setting."""

import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound
from docker.models.images import Image

from dockyard import apt, files, seed, settings, wheels
from dockyard.alone import alone
from dockyard.bundle import parts
from dockyard.course import exercise_ids, load_exercise
from dockyard.errors import ImageError
from dockyard.recipes import Recipe, recipe
from dockyard.settings import Say, quiet

RECIPE_LABEL = "dockyard.recipe"

#: The image that is bootstrapped from packages where no registry can be reached.
BASE = "debian"
#: Beside a recipe's Dockerfile: the one that is built instead where its registry answers.
UPSTREAM = "Dockerfile.upstream"
#: How many are built at once: one unpacks while others fetch.
AT_ONCE = 3


def ensure(client: docker.DockerClient, name: str, say: Say = quiet) -> Image:
    """Make sure of one image: the replacement if one is set, else built unless it is there.

    Raises:
        UnknownName: there is no recipe of this name.
        ImageError: it can be neither built nor had.
    """
    wanted = recipe(name)
    if replacement := settings.replaced_image(name):
        return _ensure_replacement(client, wanted, replacement, say)
    if (image := _existing(client, wanted)) is not None:
        return image
    with alone(f"image-{name}"):  # else two would build it, here or in another process
        return _existing(client, wanted) or _make(client, wanted, say)


def ensure_all(client: docker.DockerClient, names: Iterable[str], say: Say = quiet) -> list[Image]:
    """Make sure of several images, side by side where they do not wait for each other.

    Raises:
        As `ensure`; what has begun is done by then.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda name: ensure(client, name, say), names))


def ensure_labs(client: docker.DockerClient, *others: str, say: Say = quiet) -> None:
    """Make sure of what the labs of all exercises take, and of other images beside it.

    Raises:
        As `ensure`.
    """
    labs = [name for each in map(load_exercise, exercise_ids()) for name in each.lab.images]
    ensure_all(client, dict.fromkeys(["host", *others, *labs]), say)


def _make(client: docker.DockerClient, wanted: Recipe, say: Say) -> Image:
    if parts.has(wanted):
        with alone("bundle"):
            image = _existing(client, wanted) or _load_bundle(client, wanted, say)
        if image is not None:
            return image
    for parent in wanted.parents:
        ensure(client, parent.name, say)
    if wanted.name == BASE and not _is_reachable(client, wanted.folder / "Dockerfile"):
        return _bootstrap(client, wanted, say)
    theirs = wanted.folder / UPSTREAM
    use_theirs = theirs.is_file() and _is_reachable(client, theirs)
    return _build(client, wanted, UPSTREAM if use_theirs else "Dockerfile", say)


@dataclass(frozen=True)
class Description:
    """One image for people: its name, where it comes from, its bytes (0: not made yet)."""

    name: str
    source: str
    size: int


def describe(client: docker.DockerClient, of: Recipe) -> Description:
    """What there is of one image."""
    replacement = settings.replaced_image(of.name)
    source = f"replaced by {replacement}" if replacement else f"images/{of.name}"
    image = _named(client, of.tag)
    return Description(of.tag, source, image.attrs["Size"] if image else 0)


def is_there(client: docker.DockerClient, name: str) -> bool:
    """Whether the image has been made or set."""
    return _named(client, recipe(name).tag) is not None


def total_size(client: docker.DockerClient, names: list[str]) -> int:
    """Bytes of some images together; a layer that they share counts once."""
    sizes: dict[str, int] = {}
    for name in names:
        image = client.images.get(recipe(name).tag)
        steps = [step["Size"] for step in reversed(image.history()) if step["Size"]]
        sizes |= dict(zip(image.attrs["RootFS"]["Layers"], steps, strict=False))
    return sum(sizes.values())


def _named(client: docker.DockerClient, tag: str) -> Image | None:
    try:
        return client.images.get(tag)
    except ImageNotFound:
        return None


def _existing(client: docker.DockerClient, wanted: Recipe) -> Image | None:
    image = _named(client, wanted.tag)
    return image if image and image.labels.get(RECIPE_LABEL) == wanted.hash else None


def _ensure_replacement(
    client: docker.DockerClient, wanted: Recipe, replacement: str, say: Say
) -> Image:
    try:
        image = client.images.get(replacement)
    except ImageNotFound:
        say(f'Pulling "{replacement}" in place of {wanted.tag}')
        try:
            image = client.images.pull(replacement)
        except DockerException as error:
            raise ImageError(
                f'The image "{replacement}", set for "{wanted.name}", is neither here nor can it '
                f"be pulled: {_reason(error)}"
            ) from None
    image.tag(wanted.tag)
    return image


def _load_bundle(client: docker.DockerClient, wanted: Recipe, say: Say) -> Image | None:
    say("Loading the images of the bundle")
    with (parts.folder() / parts.IMAGES).open("rb") as file:
        seed.load(client, file)
    return _existing(client, wanted)


def _is_reachable(client: docker.DockerClient, dockerfile: Path) -> bool:
    """Whether a registry answers for the image that a Dockerfile starts from."""
    parent = re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.M)[0]
    try:
        client.api.inspect_distribution(parent)  # type: ignore[no-untyped-call]
    except (DockerException, OSError):
        return False
    return True


def _bootstrap(client: docker.DockerClient, wanted: Recipe, say: Say) -> Image:
    say("No registry answers: making Debian 13 from packages (half a minute)")
    _ensure_mmdebstrap()
    done = subprocess.run([wanted.folder / "bootstrap"], capture_output=True, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ImageError(f"Debian 13 could not be made from packages: {' '.join(reason)}")
    labels = f"LABEL {RECIPE_LABEL}={wanted.hash}"
    client.api.import_image_from_data(
        done.stdout, repository=wanted.tag.split(":")[0], tag="1", changes=[labels, 'CMD ["bash"]']
    )
    return client.images.get(wanted.tag)


def _ensure_mmdebstrap() -> None:
    if shutil.which("mmdebstrap"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get") and not apt.install("mmdebstrap"):
        return
    raise ImageError(
        "No image registry answers, and making Debian from packages takes mmdebstrap: "
        "install it, or name a Debian 13 image in DOCKYARD_IMAGE_DEBIAN."
    )


def _build(client: docker.DockerClient, wanted: Recipe, dockerfile: str, say: Say) -> Image:
    packages = _wheels(client, wanted, say)
    say(f"Building {wanted.tag}")
    output: list[str] = []
    try:
        for event in client.api.build(
            fileobj=io.BytesIO(_context(wanted, packages)),
            custom_context=True,
            dockerfile=dockerfile,
            tag=wanted.tag,
            labels={RECIPE_LABEL: wanted.hash},
            rm=True,
            forcerm=True,
            decode=True,
        ):
            if "error" in event:
                raise BuildError(str(event["error"]), iter(()))
            line = str(event.get("stream", "")).strip()
            output.append(line)
            if line.startswith("Step "):
                say(f"  {wanted.name}: {line[:90]}")
    except (BuildError, APIError) as error:
        end = "\n".join(line for line in output[-8:] if line)
        raise ImageError(f'Building "{wanted.tag}" failed: {_reason(error)}\n{end}') from None
    _remove_stages(client, output)
    return client.images.get(wanted.tag)


def _remove_stages(client: docker.DockerClient, output: list[str]) -> None:
    """Remove what a build's earlier stages leave behind: nameless, and larger than the image."""
    lines = [line for line in output if line]
    for end, step in pairwise(lines):
        if re.match(r"Step \S+ : FROM ", step):
            with suppress(DockerException):  # somebody else builds on it
                image = client.images.get(end.removeprefix("---> "))
                if not image.tags:
                    client.images.remove(str(image.id))


def _wheels(client: docker.DockerClient, wanted: Recipe, say: Say) -> list[Path]:
    """What a recipe's lock lists, fetched here, for a build may reach no index."""
    if wanted.lock is None:
        return []
    folder = settings.state_dir() / "wheels" / wanted.name
    target = wheels.for_images(client.info()["Architecture"])
    if why := wheels.fetch(wanted.lock, folder, say, target):
        raise ImageError(
            f'The Python packages of "{wanted.tag}" cannot be had: {why}. It takes a network or a '
            f"bundle, or name an image in DOCKYARD_IMAGE_{wanted.name.upper()}."
        )
    return sorted(folder.glob("*.whl"))


def _context(wanted: Recipe, packages: list[Path]) -> bytes:
    """What a recipe is built from; caches hold as long as it stays the same."""
    beside = {path.name: path for path in wanted.programs}
    return files.pack(
        files.below(wanted.folder) | beside | {f"wheels/{path.name}": path for path in packages}
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or getattr(error, "msg", None) or error)
