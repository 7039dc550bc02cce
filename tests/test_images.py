"""Recipes: what is built, in which order, and when anew."""

import os
import shutil
from pathlib import Path

import docker
import pytest

from dockyard import images, recipes, seed, settings
from dockyard.errors import ImageError, UnknownName
from dockyard.lab import side_by_side
from dockyard.waiting import wait_until

#: An image of this process's tests; others on the same engine have theirs.
SCRATCHPAD = f"scratchpad_{os.getpid()}"


@pytest.fixture
def copied_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of which files may be changed."""
    shutil.copytree(settings.course_dir() / "images", tmp_path / "images")
    monkeypatch.setenv("DOCKYARD_COURSE", str(tmp_path))
    monkeypatch.setenv("DOCKYARD_STATE", str(tmp_path / ".dockyard"))
    return tmp_path


def test_parents_come_before_children() -> None:
    order = [each.name for each in recipes.all_recipes()]
    for each in recipes.all_recipes():
        assert all(order.index(parent.name) < order.index(each.name) for parent in each.parents)


def test_hash_follows_every_file_and_the_parents(copied_course: Path) -> None:
    before = recipes.recipe("vote").hash
    assert recipes.recipe("vote").hash == before

    file = copied_course / "images" / "vote" / "app" / "vote.py"
    file.write_text(file.read_text() + "\n")
    changed = recipes.recipe("vote").hash
    assert changed != before

    (copied_course / "images" / "debian" / "bootstrap").chmod(0o644)
    assert recipes.recipe("vote").hash != changed


def test_unknown_image_is_named() -> None:
    with pytest.raises(UnknownName, match='no image "mysql"'):
        recipes.recipe("mysql")


@pytest.mark.lab
def test_unchanged_recipe_is_not_built_again_and_a_changed_one_is(
    outer: docker.DockerClient, copied_course: Path
) -> None:
    said: list[str] = []
    folder = copied_course / "images" / SCRATCHPAD
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM dockyard/debian:1\nRUN true\n")
    first = images.ensure(outer, SCRATCHPAD, said.append)
    assert any("Building" in line for line in said)

    said.clear()
    assert images.ensure(outer, SCRATCHPAD, said.append).id == first.id
    assert said == []

    (folder / "Dockerfile").write_text("FROM dockyard/debian:1\nRUN echo changed > /changed\n")
    second = images.ensure(outer, SCRATCHPAD, said.append)
    assert second.id != first.id
    for image in (first, second):
        outer.images.remove(str(image.id), force=True)


@pytest.mark.lab
def test_what_several_want_at_once_is_made_once(
    outer: docker.DockerClient, copied_course: Path
) -> None:
    """On a fresh clone, each test process wants the same images, and a seed of them."""
    said: list[str] = []
    folder = copied_course / "images" / SCRATCHPAD
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM dockyard/debian:1\nRUN echo once > /once\n")
    wanted = ["host", SCRATCHPAD]
    made = side_by_side(lambda _: images.ensure_all(outer, wanted, said.append), range(3))
    assert said.count(f"Building dockyard/{SCRATCHPAD}:1") == 1
    assert len({image.id for _, image in made}) == 1

    host, image = made[0]
    try:
        seeds = side_by_side(lambda _: seed.ensure(outer, host, [image], said.append), range(3))
        assert said.count("Preparing the images for lab hosts, once") == 1
        assert {*map(bool, seeds)} == {True}
        assert len({*seeds}) == 1
    finally:
        seed.remove_all(outer)
        outer.images.remove(str(image.id), force=True)


@pytest.mark.lab
def test_a_setting_replaces_an_image(
    outer: docker.DockerClient, copied_course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied_course / "images" / SCRATCHPAD
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM dockyard/debian:1\n")
    monkeypatch.setenv(f"DOCKYARD_IMAGE_{SCRATCHPAD.upper()}", "dockyard/redis:1")
    image = images.ensure(outer, SCRATCHPAD)
    assert image.id == images.ensure(outer, "redis").id
    assert images.describe(outer, recipes.recipe(SCRATCHPAD)).source == (
        "replaced by dockyard/redis:1"
    )
    outer.images.remove(f"dockyard/{SCRATCHPAD}:1")

    monkeypatch.setenv(f"DOCKYARD_IMAGE_{SCRATCHPAD.upper()}", "dockyard/nowhere:1")
    with pytest.raises(ImageError, match=f'"dockyard/nowhere:1", set for "{SCRATCHPAD}"'):
        images.ensure(outer, SCRATCHPAD)


@pytest.mark.lab
def test_a_broken_recipe_shows_the_end_of_its_output(
    outer: docker.DockerClient, copied_course: Path
) -> None:
    folder = copied_course / "images" / SCRATCHPAD
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM dockyard/debian:1\nRUN echo told-you && exit 3\n")
    with pytest.raises(ImageError, match="told-you"):
        images.ensure(outer, SCRATCHPAD)


@pytest.mark.lab
def test_upstream_s_image_is_taken_where_its_registry_answers(
    outer: docker.DockerClient, copied_course: Path
) -> None:
    registry = outer.containers.run(
        images.ensure(outer, "registry"), ports={"5000/tcp": ("127.0.0.1", None)}, detach=True
    )
    try:
        registry.reload()
        port = registry.attrs["NetworkSettings"]["Ports"]["5000/tcp"][0]["HostPort"]
        name = f"127.0.0.1:{port}/upstream"
        images.ensure(outer, "debian").tag(name, "1")
        wait_until(lambda: b"listening on" in registry.logs(), 120)
        assert "errorDetail" not in outer.images.push(name, "1")
        folder = copied_course / "images" / SCRATCHPAD
        folder.mkdir()
        (folder / "Dockerfile").write_text("FROM dockyard/debian:1\nENV MADE_BY=us\n")
        (folder / "Dockerfile.upstream").write_text(f"FROM {name}:1\nENV MADE_BY=them\n")
        theirs = images.ensure(outer, SCRATCHPAD)
        assert "MADE_BY=them" in theirs.attrs["Config"]["Env"]
    finally:
        registry.remove(force=True, v=True)
    outer.images.remove(f"{name}:1")
    outer.images.remove(str(theirs.id), force=True)

    ours = images.ensure(outer, SCRATCHPAD)  # nobody answers there any more
    assert "MADE_BY=us" in ours.attrs["Config"]["Env"]
    outer.images.remove(str(ours.id), force=True)
