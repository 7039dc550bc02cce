"""`<source> @type forward`: the Forward protocol, version 1, over TCP.

Message, Forward, PackedForward and CompressedPackedForward mode, with acknowledgements.
"""

import asyncio
import gzip
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import Callable
from typing import Any

from .config import Section
from .formats import Record
from .log import log
from .messagepack import EventTime, decode, decode_all, encode

Emit = Callable[[str, EventTime, Record], None]


class Forward:
    """Listens for events."""

    def __init__(self, section: Section) -> None:
        section.kind("forward")
        self._port, self._bind = section.integer("port", 24224), section.text("bind", "0.0.0.0")  # noqa: S104
        self._tag, self._prefix = section.maybe("tag"), section.maybe("add_tag_prefix")
        self._address_key = section.maybe("source_address_key")
        section.done()

    async def run(self, emit: Emit) -> None:
        async def serve(reader: StreamReader, writer: StreamWriter) -> None:
            try:
                await self._serve(reader, writer, emit)
            except (ConnectionError, IncompleteReadError):
                pass  # the other side has gone; it sends again what was not acknowledged
            except ValueError as error:
                log("warn", f'#0 incoming chunk is broken: error="{error}"')
            finally:
                writer.close()

        server = await asyncio.start_server(serve, self._bind, self._port)
        log("info", f'#0 listening port port={self._port} bind="{self._bind}"')  # not sooner
        try:
            await asyncio.Event().wait()
        finally:
            server.close()  # serve_forever would wait until every container has hung up

    async def _serve(self, reader: StreamReader, writer: StreamWriter, emit: Emit) -> None:
        host = writer.get_extra_info("peername")[0]
        while True:
            message = await decode(reader)
            if message is None:
                continue  # a heartbeat
            if not isinstance(message, list) or len(message) < 2:
                log("warn", f'#0 incoming chunk is broken: host="{host}" msg={message!r}')
                continue
            tag, entries, option = await _entries(message)
            tag = self._tag or tag
            tag = f"{self._prefix}.{tag}" if self._prefix else tag
            for time, record in entries:
                event = _event_time(time)
                if event is None or not isinstance(record, dict) or not isinstance(tag, str):
                    log("warn", f'#0 skip invalid event: host="{host}" tag="{tag}"')
                    continue
                source = {self._address_key: host} if self._address_key else {}
                emit(tag, event, record | source)
            if isinstance(option, dict) and "chunk" in option:
                writer.write(encode({"ack": option["chunk"]}))
                await writer.drain()


async def _entries(message: list[Any]) -> tuple[Any, list[list[Any]], Any]:
    """Tag, pairs of time and record, and option, whichever mode the message is in."""
    tag, second, *rest = message
    if isinstance(second, list):
        return tag, second, (rest or [None])[0]
    if isinstance(second, (bytes, str)):
        option = (rest or [None])[0] or {}
        packed = second.encode() if isinstance(second, str) else second
        if option.get("compressed") == "gzip":
            packed = gzip.decompress(packed)
        return tag, await decode_all(packed), option
    record, option = (*rest, None, None)[:2]
    return tag, [[second, record]], option


def _event_time(time: Any) -> EventTime | None:
    time = time[0] if isinstance(time, list) and time else time
    if isinstance(time, int) and not isinstance(time, bool):
        time = EventTime(time)
    return time if isinstance(time, EventTime) else None
