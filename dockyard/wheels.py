"""Python's packages as a lock has them, fetched by pip into a folder that is kept."""

import shutil
import subprocess
import sys
from pathlib import Path

from dockyard.settings import Say

#: The Python of Debian 13, and the C library: what our images run.
PYTHON, GLIBC = "3.13", 41


def fetch(lock: Path, folder: Path, say: Say, target: list[str] | None = None) -> str:
    """Make sure of a folder with the lock's wheels; pip checks each against its hash.

    Args:
        target: for which system, as options of `pip download`; this one by default.

    Returns:
        Nothing, or why it failed, in pip's words.
    """
    command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]
    command += ["--requirement", str(lock), *(target or [])]
    if not _fails([*command, "--no-index", "--find-links", str(folder)]):
        return ""
    say("Gathering Python's packages (a minute, once)")
    shutil.rmtree(folder, ignore_errors=True)  # versions of an earlier lock
    return _fails(command)


def for_images(architecture: str) -> list[str]:
    """The options for an image of ours, on an engine's architecture, such as "x86_64"."""
    names = [f"manylinux_2_{minor}" for minor in range(GLIBC, 4, -1)]
    names += ["manylinux2014", "manylinux2010", "manylinux1", "linux"]
    platforms = [f"--platform={name}_{architecture}" for name in names]
    abi = f"cp{PYTHON.replace('.', '')}"
    return [f"--python-version={PYTHON}", "--implementation=cp", f"--abi={abi}", *platforms]


def _fails(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    return (errors or [f"pip ended with {done.returncode}"])[-1].removeprefix("ERROR:").strip(" .")
