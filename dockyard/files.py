"""Whole or not at all: files that no reader, kill or full disk finds half-written."""

import os
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path


def write(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file beside its place and move it there; its folder is made.

    Args:
        mode: who may read it, less the umask.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)  # of a killed process that had our number
    try:
        with open(new, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def pack(files: Mapping[str, Path]) -> bytes:
    """A tar of files and folders, whose bytes depend on names and contents only.

    Args:
        files: by their names in the tar.
    """
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in sorted(files.items()):
            info = tar.gettarinfo(path, name)
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = "root"
            info.mode = 0o755 if path.is_dir() or info.mode & 0o111 else 0o644
            with path.open("rb") if path.is_file() else BytesIO() as data:
                tar.addfile(info, data if path.is_file() else None)
    return buffer.getvalue()


def below(folder: Path) -> dict[str, Path]:
    """All that a folder holds, by names from there."""
    return {str(path.relative_to(folder)): path for path in folder.rglob("*")}
