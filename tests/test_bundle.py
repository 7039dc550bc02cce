"""A bundle: taken in only when it is whole, and enough for a machine without a network."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path

import docker
import pytest
from click.testing import CliRunner

from dockyard import images, settings
from dockyard.bundle import loading, parts, saving
from dockyard.cli import main
from dockyard.errors import BundleError
from dockyard.recipes import all_recipes

PARTS = saving.PARTS
WHOLE = {f"{PARTS}/wheels/a.whl": b"a wheel", f"{PARTS}/images.tar": b"images", "README.md": b"r"}


@pytest.fixture(autouse=True)
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "course"
    if "lab" not in request.keywords:
        monkeypatch.setenv("DOCKYARD_STATE", str(folder / ".dockyard"))
        monkeypatch.setenv("DOCKYARD_COURSE", str(folder))
    return folder


def listing(files: dict[str, bytes]) -> bytes:
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()]
    return "".join(lines).encode()


def bundle(path: Path, files: dict[str, bytes], sums: bytes | None = None) -> Path:
    """A bundle of these files, with the sums of the whole one."""
    sums = listing(WHOLE) if sums is None else sums
    with tarfile.open(path, "w") as tar:
        for name, data in {f"{PARTS}/SUMS": sums, **files}.items():
            info = tarfile.TarInfo(f"{saving.TOP}/{name}")
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    return path


def taken() -> dict[str, bytes]:
    folder = parts.folder()
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_whole_one_is_taken_in(tmp_path: Path, course: Path) -> None:
    assert loading.load(bundle(tmp_path / "room.tar", WHOLE)) == ["README.md"]
    assert taken() == {"wheels/a.whl": b"a wheel", "images.tar": b"images", "SUMS": listing(WHOLE)}
    assert not (course / "README.md").exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda files: {**files, f"{PARTS}/images.tar": b"imagez"}, "images.tar is not as it was"),
        (lambda files: dict(list(files.items())[:1]), "images.tar is missing"),
        (lambda files: {**files, f"{PARTS}/more": b""}, "more is not in its list"),
        (lambda files: {"../../etc/passwd": b"", **files}, "has no place in it"),
    ],
)
def test_a_damaged_one_is_refused(
    tmp_path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], why: str
) -> None:
    with pytest.raises(BundleError, match=why):
        loading.load(bundle(tmp_path / "room.tar", change(WHOLE)))
    known = {"wheels/a.whl": b"a wheel", "images.tar": b"images"}
    assert taken().items() <= known.items()  # what is whole stays, nothing else does


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = bundle(tmp_path / "room.tar", {})
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo(f"{saving.TOP}/{PARTS}/images.tar")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(BundleError, match="has no place in it"):
        loading.load(path)


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 99, b"\0" * 10240])
def test_what_is_no_bundle_is_said_in_a_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "room.tar").write_bytes(content)
    with pytest.raises(BundleError, match=r"damaged|no bundle"):
        loading.load(tmp_path / "room.tar")


def test_one_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    whole = bundle(tmp_path / "room.tar", WHOLE)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[: 4 * 512 + 100])  # in the middle of the first wheel's head
    with pytest.raises(BundleError):
        loading.load(cut)
    bundle(cut, dict(list(WHOLE.items())[:1]))
    with pytest.raises(BundleError):
        loading.load(cut)
    before = (parts.folder() / "wheels/a.whl").stat().st_ino
    loading.load(whole)
    assert (parts.folder() / "wheels/a.whl").stat().st_ino == before


@contextmanager
def serving(file: Path, *arguments: str) -> Iterator[tuple[str, str]]:
    """A bundle handed to whoever is on this machine: its address, and its key's pin."""
    command = [sys.executable, "-m", "dockyard", "bundle", "serve", str(file), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        told = re.search(r"(sha256//\S+) .* (https://\S+)", "".join(islice(process.stderr, 2)))
        assert told
        yield told[2], told[1]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        process.stderr.close()


def fetch(url: str, pin: str, *options: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["curl", "--silent", "--fail", "--insecure", "--pinnedpubkey", pin, *options, url]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.mark.skipif(not shutil.which("curl"), reason="learners fetch it with curl")
def test_a_room_fetches_it_from_the_presenter(tmp_path: Path) -> None:
    file = bundle(tmp_path / "any name.tar", WHOLE)
    with serving(file, "--address", "127.0.0.1", "--port", "0") as (url, pin):
        assert fetch(url, pin).stdout == file.read_bytes()
        part = tmp_path / "part"
        part.write_bytes(file.read_bytes()[:5000])  # a download that was cut off
        fetch(url, pin, "--continue-at", "-", "--output", str(part))
        assert part.read_bytes() == file.read_bytes()
        assert fetch(url, "sha256//" + "A" * 43 + "=").returncode == 90  # another's key
        assert (
            fetch(url.replace("room.tar", "../../etc/passwd"), pin, "--path-as-is").returncode == 22
        )
        assert fetch(url.replace("https", "http"), pin).returncode != 0
        assert fetch(url, pin, "--request", "PUT", "--data", "x").returncode == 22
    assert bundle(tmp_path / "again.tar", WHOLE).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("content", "address", "why"),
    [
        (b"no bundle", "127.0.0.1", "damaged"),
        (None, "192.0.2.1", "has no address"),
        (None, "", "has no address"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(
    tmp_path: Path, content: bytes | None, address: str, why: str
) -> None:
    file = bundle(tmp_path / "room.tar", WHOLE)
    if content:
        file.write_bytes(content)
    done = CliRunner().invoke(main, ["bundle", "serve", str(file), "--address", address])
    assert done.exit_code in (1, 2)
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1


#: On a machine that has only what came in the file: nothing leads out of its network.
OFFLINE = """
PS4='+ ${SECONDS} s: '
set -eux
ip link set lo up
[ -z "$(ip route)" ]
tar -xf "$1"
cd dockyard
trap 'make clean' EXIT
make test-quick ARGS="$2"
export PATH="$PWD/.venv/bin:$PATH"
dockyard up 00_images
dockyard solve 00_images
dockyard check 00_images
coproc lab { exec make lab 2>&1; }
sed --unbuffered /Open/q <&"${lab[0]}"
kill "$lab_PID"
wait "$lab_PID" || true
"""


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own takes root")
@pytest.mark.skipif(not shutil.which("dockerd"), reason="no engine to start in that network")
@pytest.mark.long
@pytest.mark.parametrize(
    "quick_tests",
    [
        pytest.param("tests/test_notebooks.py tests/test_release.py", id="some"),
        pytest.param("", id="all", marks=pytest.mark.thorough),
    ],
)
def test_a_room_without_a_network(
    quick_tests: str, outer: docker.DockerClient, tmp_path: Path
) -> None:
    """The quick tests have no network there, some of them: kernels, nbgrader, make in a kit."""
    file = tmp_path / "room.tar"
    images.ensure_all(outer, (each.name for each in all_recipes()))
    size = saving.save(outer, file, print)
    assert size > parts.folder().joinpath(parts.IMAGES).stat().st_size
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKYARD_ENGINE_HOST": "embedded"}
    # `timeout` lets the script clear up.
    limit = ["timeout", f"{1800 * settings.patience():g}"]
    done = subprocess.run(
        ["unshare", "--net", *limit, "bash", "-c", OFFLINE, "bash", str(file), quick_tests],
        cwd=tmp_path,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0
    assert "Open http://127.0.0.1" in done.stdout
