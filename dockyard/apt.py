"""Debian's package manager, for the little that Dockyard installs."""

import os
import subprocess
from hashlib import sha256
from pathlib import Path

from dockyard.bundle import parts


def install(*packages: str) -> str:
    """Install packages, from a bundle or from the system's own archive; takes root and apt-get.

    Returns:
        Nothing, or why it failed, in the program's last line.
    """
    if parts.has_packages(*packages):
        return _run(str(parts.INSTALL), str(parts.folder() / parts.PACKAGES), *packages)
    _get("update")
    return _get("install", *packages)


def download(folder: Path, *packages: str) -> str:
    """Make a folder with packages and all that they need, for machines of which nothing is known.

    Returns:
        Nothing, or why it failed.
    """
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    # As on a machine that has nothing.
    options = ["--option=Dir::State::status=/dev/null", f"--option=Dir::Cache::archives={folder}"]
    _get("update")
    why = _get("install", "--download-only", *options, *packages)
    (folder / "lock").unlink(missing_ok=True)
    (folder / "partial").rmdir()
    records = map(_record, sorted(folder.glob("*.deb")))
    (folder / "Packages").write_bytes(b"\n".join(records))
    return why


def _record(package: Path) -> bytes:
    """A package as an archive's index lists it."""
    fields = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, check=True)
    digest = sha256(package.read_bytes()).hexdigest()
    where = f"Filename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n"
    return fields.stdout + where.encode()


def _get(verb: str, *arguments: str) -> str:
    return _run("apt-get", verb, "-y", "-qq", "--no-install-recommends", *arguments)


def _run(*command: str) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    last = (done.stderr or done.stdout).strip().splitlines()[-1:]
    return " ".join(last) or f"{command[0]} ended with {done.returncode}"
