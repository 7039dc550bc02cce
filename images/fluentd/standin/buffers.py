"""`<buffer>`: where lines wait until they are written, and when that is.

A file buffer has Fluentd's names and format: PREFIX.b<id>.log while lines are added, .q<id> once
the chunk is due, and beside it .meta, from which the next start goes on.
"""

import asyncio
import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from .config import Section, listed
from .formats import named_zone
from .log import log
from .messagepack import EventTime, decode_all, encode

DAY = 86400


@dataclass
class Chunk:
    """Lines of one day (or other span) and tag."""

    timekey: int | None
    tag: str | None
    id: bytes
    created: int
    lines: int = 0
    path: Path | None = None
    content: bytearray = field(default_factory=bytearray)

    def add(self, line: bytes) -> None:
        self.lines += 1
        if self.path is None:
            self.content += line
            return
        self._write_meta()
        with self.path.open("ab") as file:
            file.write(line)

    def read(self) -> bytes:
        return bytes(self.content) if self.path is None else self.path.read_bytes()

    def enqueue(self) -> None:
        """Its name says from now on that it is complete."""
        if self.path is not None and f".b{self.id.hex()}." in self.path.name:
            queued = Path(str(self.path).replace(f".b{self.id.hex()}.", f".q{self.id.hex()}."))
            self.path.rename(queued)
            meta(self.path).rename(meta(queued))
            self.path = queued

    def purge(self) -> None:
        if self.path is not None:
            self.path.unlink()
            meta(self.path).unlink()

    def _write_meta(self) -> None:
        known = {"timekey": self.timekey, "tag": self.tag, "variables": None, "seq": 0}
        seen = {"id": self.id, "s": self.lines, "c": self.created, "m": int(time.time())}
        packed = encode(known | seen)
        meta(self.path).write_bytes(b"\xc1\x00" + struct.pack(">I", len(packed)) + packed)


def meta(path: Path) -> Path:
    return path.with_name(path.name + ".meta")


class Buffer:
    """What an output has yet to write. *default_path* is where a file buffer lies."""

    def __init__(self, section: Section, default_path: str) -> None:
        keys = [key for key in listed(section.arg or "time") if key]
        for key in keys:
            if key not in ("time", "tag"):
                raise section.unknown(f'the chunk key "{key}"')
        self.by_tag = "tag" in keys
        self._timekey = section.seconds("timekey", DAY) if "time" in keys else None
        self._wait = section.seconds("timekey_wait", 600)
        self.zone = named_zone(self._zone_name(section))
        persistent = section.kind("file", "memory", default="file") == "file"
        self._pattern = _pattern(section.text("path", default_path)) if persistent else None
        self._flush_at_shutdown = section.flag("flush_at_shutdown", not persistent)
        self._choose_mode(section)
        section.done()
        self._staged: dict[tuple[int | None, str | None], Chunk] = {}
        self._queue: list[Chunk] = []

    @property
    def timekey(self) -> float | None:
        """The span of time of one chunk; None if chunks do not differ in time."""
        return self._timekey

    @staticmethod
    def _zone_name(section: Section) -> str:
        local = datetime.now().astimezone().strftime("%z")
        name = section.text("timekey_zone", local)
        return "+0000" if section.flag("timekey_use_utc", False) else name

    def _choose_mode(self, section: Section) -> None:
        modes = ["default", "lazy", "interval", "immediate"]
        mode = section.choice("flush_mode", "default", modes)
        explicit = mode != "default"
        self.mode = mode if explicit else "lazy" if self._timekey else "interval"
        if "flush_interval" in section.params and self.mode != "interval":
            if explicit:
                raise section.error(
                    "'flush_interval' can't be specified when 'flush_mode' is not 'interval' "
                    f"explicitly: '{mode}'"
                )
            log("warn", "'flush_interval' is ignored because default 'flush_mode' is not "
                f"'interval': '{self.mode}'")  # fmt: skip
        self._interval = section.seconds("flush_interval", 60)

    async def open(self) -> None:
        """Go on with what an earlier run has left behind."""
        if self._pattern is None:
            return
        folder, prefix, suffix = self._pattern
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob(f"{prefix}.[bq]*{suffix}")):
            if not meta(path).is_file():
                continue  # a file of the output's, whose name looks alike
            (known,) = await decode_all(meta(path).read_bytes()[6:])
            chunk = Chunk(known["timekey"], known["tag"], known["id"], known["c"], known["s"], path)
            if path.name.removeprefix(f"{prefix}.").startswith("b"):
                self._staged[chunk.timekey, chunk.tag] = chunk
            else:
                self._queue.append(chunk)

    def add(self, tag: str, event: EventTime, line: str) -> None:
        key = (self._span(event), tag if self.by_tag else None)
        if key not in self._staged:
            self._staged[key] = self._new(*key)
        self._staged[key].add(line.encode())

    def _span(self, event: EventTime) -> int | None:
        """When the event's day (or other span) began, in the zone that the buffer counts in."""
        if self._timekey is None:
            return None
        offset = datetime.fromtimestamp(event.seconds, self.zone).utcoffset().total_seconds()
        return int(event.seconds - (event.seconds + offset) % self._timekey)

    def _new(self, timekey: int | None, tag: str | None) -> Chunk:
        stamp = (time.time_ns() // 1000 << 12) | random.randrange(0xFFF)  # noqa: S311
        chunk = Chunk(timekey, tag, struct.pack(">Q", stamp) + os.urandom(8), int(time.time()))
        if self._pattern is not None:
            folder, prefix, suffix = self._pattern
            chunk.path = folder / f"{prefix}.b{chunk.id.hex()}{suffix}"
        return chunk

    def due(self) -> Iterator[tuple[int | None, str | None]]:
        """The staged chunks whose time has come."""
        now = time.time()
        for key, chunk in self._staged.items():
            interval = self.mode == "interval" and chunk.created + int(self._interval) <= int(now)
            over = self._timekey and chunk.timekey + self._timekey + self._wait <= now
            if self.mode == "immediate" or interval or over:
                yield key

    def flush(self, write: Callable[[Chunk], None], *, all_of_it: bool = False) -> None:
        """Hand the chunks that are due to *write*; one that it cannot write stays for later."""
        for key in list(self._staged) if all_of_it else list(self.due()):
            chunk = self._staged.pop(key)
            chunk.enqueue()
            self._queue.append(chunk)
        while self._queue:
            try:
                write(self._queue[0])
            except OSError as error:
                log("warn", f'#0 failed to flush the buffer. error="{error}"')
                return
            self._queue.pop(0).purge()

    async def run(self, write: Callable[[Chunk], None]) -> None:
        """Flush what is due, once a second; at the end, what must not stay."""
        try:
            while True:
                self.flush(write)
                await asyncio.sleep(1)
        finally:
            if self._flush_at_shutdown:
                self.flush(write, all_of_it=True)


def _pattern(path: str) -> tuple[Path, str, str]:
    """Folder, beginning and end of a file buffer's names, as Fluentd derives them from a path."""
    given = Path(path)
    if given.is_dir() or (not given.exists() and ".*" not in path):
        return given, "buffer", ".log"
    name = given.name
    if ".*." in name:
        prefix, _, suffix = name.partition(".*.")
        return given.parent, prefix, f".{suffix}"
    return given.parent, name.removesuffix(".*"), ".log"
