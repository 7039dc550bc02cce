"""Python's packages for an image: checked by hash, kept, and for the right system."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import docker
import pytest

from dockyard import images, recipes, settings, wheels
from dockyard.errors import ImageError
from dockyard.settings import quiet


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's package index, in place of the internet's."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", folder.as_uri())
    return folder


@pytest.fixture
def scratchpad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe that takes wheels, in a course of its own."""
    folder = tmp_path / "course/images/scratchpad"
    shutil.copytree(settings.course_dir() / "images/debian", folder.parent / "debian")
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM dockyard/debian:1\nCOPY wheels/ /wheels/\n")
    monkeypatch.setenv("DOCKYARD_COURSE", str(tmp_path / "course"))
    return folder


def put(index: Path, name: str, tag: str = "py3-none-any") -> str:
    """A wheel in the index; its line of a lock."""
    path = index / name / f"{name}-1.0-{tag}.whl"
    path.parent.mkdir()
    (path.parent / "index.html").write_text(f'<!doctype html><a href="{path.name}">a wheel</a>')
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{about}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def lock(folder: Path, *lines: str) -> Path:
    path = folder / "requirements.lock"
    path.write_text("".join(lines))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.whl"))


def test_what_was_fetched_is_kept_and_checked_again(index: Path, tmp_path: Path) -> None:
    kept, wanted = tmp_path / "kept", lock(tmp_path, put(index, "rope"))
    said: list[str] = []
    assert wheels.fetch(wanted, kept, said.append) == ""
    assert names(kept) == ["rope-1.0-py3-none-any.whl"]
    assert said == ["Gathering Python's packages (a minute, once)"]

    whole = index.rename(tmp_path / "gone")
    assert wheels.fetch(wanted, kept, said.append) == ""
    assert len(said) == 1

    wheel = kept / names(kept)[0]
    wheel.write_bytes(wheel.read_bytes() + b"more")
    assert wheels.fetch(wanted, kept, quiet) != ""  # it is not believed, and there is no other
    whole.rename(index)
    assert wheels.fetch(wanted, kept, quiet) == ""
    assert wheel.read_bytes() == (index / "rope" / wheel.name).read_bytes()


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_wheels_fit_the_images_python_and_the_engines_processor(
    index: Path, tmp_path: Path, architecture: str
) -> None:
    fitting = {
        "pure": "py3-none-any",
        "stable": f"cp39-abi3-manylinux_2_28_{architecture}",
        "old": f"cp313-cp313-manylinux2014_{architecture}",
        "new": f"cp313-cp313-manylinux_2_41_{architecture}",
        "program": f"py3-none-manylinux2014_{architecture}.musllinux_1_1_{architecture}",
    }
    wanted = lock(tmp_path, *(put(index, name, tag) for name, tag in fitting.items()))
    target = wheels.for_images(architecture)
    assert wheels.fetch(wanted, tmp_path / "kept", quiet, target) == ""
    assert names(tmp_path / "kept") == names(index)

    for number, tag in enumerate(
        ["cp312-cp312-manylinux2014_" + architecture, "cp313-cp313-manylinux2014_s390x"]
    ):
        other = lock(tmp_path, put(index, f"other{number}", tag))
        assert "No matching" in wheels.fetch(other, tmp_path / "none", quiet, target)


def test_the_lock_makes_another_recipe_and_its_wheels_do_not(scratchpad: Path) -> None:
    without = recipes.recipe("scratchpad").hash
    lock(scratchpad, "rope==1.0\n")
    before = recipes.recipe("scratchpad").hash
    assert before != without
    kept = settings.state_dir() / "wheels/scratchpad"
    kept.mkdir(parents=True)
    (kept / "rope-1.0-py3-none-any.whl").touch()
    assert recipes.recipe("scratchpad").hash == before
    lock(scratchpad, "rope==1.1\n")
    assert recipes.recipe("scratchpad").hash != before


@pytest.mark.lab
def test_a_build_finds_the_wheels_and_leaves_no_stage(
    outer: docker.DockerClient, index: Path, scratchpad: Path
) -> None:
    lock(scratchpad, put(index, "rope"))
    (scratchpad / "Dockerfile").write_text(
        "FROM dockyard/debian:1 AS first\nCOPY wheels/ /wheels/\nRUN touch /wheels/seen\n"
        "FROM dockyard/debian:1\nCOPY --from=first /wheels /wheels\n"
    )
    nameless = {"dangling": True}
    before = {image.id for image in outer.images.list(filters=nameless)}
    image = images.ensure(outer, "scratchpad")
    try:
        listed = outer.containers.run(image, "ls /wheels", remove=True)
        assert listed.split() == [b"rope-1.0-py3-none-any.whl", b"seen"]
        left = [each for each in outer.images.list(filters=nameless) if each.id not in before]
        # Others may build at the same time.
        steps = [step["CreatedBy"] for each in left for step in each.history()]
        assert not any("touch /wheels/seen" in step for step in steps)
    finally:
        outer.images.remove("dockyard/scratchpad:1", force=True)


@pytest.mark.lab
def test_a_wrong_hash_is_refused(outer: docker.DockerClient, index: Path, scratchpad: Path) -> None:
    line = put(index, "rope")
    lock(scratchpad, line[:-5] + "0000\n" if not line.endswith("0000\n") else line[:-5] + "1111\n")
    with pytest.raises(ImageError, match="DO NOT MATCH THE HASHES") as refused:
        images.ensure(outer, "scratchpad")
    assert "\n" not in str(refused.value)
    assert not images.is_there(outer, "scratchpad")


@pytest.mark.lab
def test_without_an_index_one_line_says_what_to_do(
    outer: docker.DockerClient, index: Path, scratchpad: Path
) -> None:
    lock(scratchpad, put(index, "rope"))
    shutil.rmtree(index)
    with pytest.raises(ImageError, match="No matching distribution found for rope") as refused:
        images.ensure(outer, "scratchpad")
    assert "\n" not in str(refused.value)
    assert "DOCKYARD_IMAGE_SCRATCHPAD" in str(refused.value)
