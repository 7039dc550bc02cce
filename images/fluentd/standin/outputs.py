"""`<match>`: file, stdout, copy and null."""

import asyncio
import os
import re
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Protocol

from .buffers import DAY, Buffer, Chunk
from .config import Section
from .formats import Record, formatter, inject
from .log import log, put
from .messagepack import EventTime

TAG = re.compile(r"\$\{tag(?:\[(-?\d+)\])?\}")
MISSING = (
    "default timekey interval (1d) will be used because of missing <buffer> section. "
    "To change the output frequency, please modify the timekey value"
)


class Output(Protocol):
    """Takes events; *run* works on in the background, and ends by being cancelled."""

    def emit(self, tag: str, time: EventTime, record: Record) -> None: ...

    async def run(self) -> None: ...


def make(section: Section) -> Output:
    """The output that a section describes."""
    kind = section.kind("file", "stdout", "copy", "null")
    made = {"file": File, "stdout": Stdout, "copy": Copy, "null": Null}[kind](section)
    section.done()
    return made


class Null:
    """Throws events away."""

    def __init__(self, section: Section) -> None:
        pass

    def emit(self, tag: str, time: EventTime, record: Record) -> None:
        pass

    async def run(self) -> None:
        pass


class Stdout(Null):
    """Shows events in the log."""

    def __init__(self, section: Section) -> None:
        self._inject = inject(section.one("inject"))
        self._line = formatter(section.one("format"), "stdout")

    def emit(self, tag: str, time: EventTime, record: Record) -> None:
        put(self._line(tag, time, self._inject(tag, time, record)))


class Copy:
    """Gives events to each `<store>`."""

    def __init__(self, section: Section) -> None:
        self._stores = [make(each) for each in section.take("store")]

    def emit(self, tag: str, time: EventTime, record: Record) -> None:
        for store in self._stores:
            store.emit(tag, time, dict(record))

    async def run(self) -> None:
        await asyncio.gather(*(store.run() for store in self._stores))


class File:
    """Keeps events as lines of files, in the manner of out_file of Fluentd 1.16 to 1.19."""

    def __init__(self, section: Section) -> None:
        path = section.text("path")
        self._append = section.flag("append", False)
        suffix = section.text("path_suffix", ".log")
        suffix = suffix if section.flag("add_path_suffix", True) else ""
        self._inject = inject(section.one("inject"))
        self._line = formatter(section.one("format"), "out_file")
        if not any(each.name == "buffer" for each in section.sections):
            log("warn", MISSING)
        self._buffer = Buffer(section.one("buffer"), path)
        self._template = _template(path, self._buffer.timekey, self._append, suffix, section.error)
        if TAG.search(path) and not self._buffer.by_tag:
            raise section.error(
                f"Parameter 'path: {path}' has tag placeholders, but chunk key 'tag' is not "
                "configured"
            )
        now = int(datetime.now().timestamp()) if self._buffer.timekey else None
        test = self._path(Chunk(now, "a", b"", 0))
        if not _is_writable(test):
            raise section.error(f"out_file: `{test}` is not writable")

    def emit(self, tag: str, time: EventTime, record: Record) -> None:
        line = self._line(tag, time, self._inject(tag, time, record))
        self._buffer.add(tag, time, line)
        if self._buffer.mode == "immediate":
            self._buffer.flush(self._write)

    async def run(self) -> None:
        await self._buffer.open()
        await self._buffer.run(self._write)

    def _path(self, chunk: Chunk) -> Path:
        """The template with its time and tag filled in."""
        path = self._template
        if chunk.timekey is not None:
            path = datetime.fromtimestamp(chunk.timekey, self._buffer.zone).strftime(path)
        if chunk.tag is not None:
            parts = chunk.tag.split(".")
            numbered = {str(i): part for i, part in enumerate(parts)}
            numbered |= {str(i - len(parts)): part for i, part in enumerate(parts)}
            path = TAG.sub(lambda m: numbered.get(m[1], "") if m[1] else chunk.tag, path)
        return Path(path.replace("${chunk_id}", chunk.id.hex()))

    def _write(self, chunk: Chunk) -> None:
        path = self._path(chunk)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self._append:
            numbered = (Path(str(path).replace("_**", f"_{i}", 1)) for i in count())
            path = next(each for each in numbered if not each.exists())
        with path.open("ab") as file:
            file.write(chunk.read())


def _template(
    path: str, timekey: float | None, append: bool, suffix: str, error: Callable[[str], Exception]
) -> str:
    """Path → path with time and number: data → data.%Y%m%d_**.log, data.*.txt → data.%Y%m%d.txt."""
    index = "" if append else "_**"
    if timekey is None:
        if "*" in path:
            raise error("path including '*' must be used with buffer chunk key 'time'")
        return f"{path}{index}{suffix}"
    spans = [(60, "%Y%m%d%H%M%S"), (3600, "%Y%m%d%H%M"), (DAY, "%Y%m%d%H")]
    form = next((form for limit, form in spans if timekey < limit), "%Y%m%d")
    if "*" in path:
        return path.replace("*", form + index)
    there = [each in path for each in re.findall("..", form)]
    if any(there):
        if not all(there):
            raise error("insufficient timestamp placeholders in path")
        return f"{path}{index}{suffix}"
    return f"{path}.{form}{index}{suffix}"


def _is_writable(path: Path) -> bool:
    """Whether it can be written, or made in the nearest folder that is there."""
    there = next(each for each in [path, *path.parents] if each.exists())
    return os.access(there, os.W_OK) and there.is_dir() != (there == path)
