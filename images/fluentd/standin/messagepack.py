"""MessagePack, as much of it as the Forward protocol and buffer files take.

Decoded straight from a stream: a record may arrive in pieces.
"""

import struct
from asyncio import StreamReader
from typing import Any, NamedTuple

#: First byte → how many bytes of length or value follow, and how to read them.
NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
LENGTHS = {
    0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xC7: ">B", 0xC8: ">H", 0xC9: ">I",
    0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I",
}  # fmt: skip
EVENT_TIME = 0  # extension type: seconds and nanoseconds


class EventTime(NamedTuple):
    """When an event happened."""

    seconds: int
    nanoseconds: int = 0


async def decode(stream: StreamReader) -> Any:
    """The next value.

    Raises:
        IncompleteReadError: the stream has ended; *partial* is empty if that was between values.
        ValueError: this is not MessagePack.
    """
    first = (await stream.readexactly(1))[0]
    if first < 0x80:
        return first
    if first >= 0xE0:
        return first - 0x100
    if first < 0x90:
        return await _map(stream, first & 0x0F)
    if first < 0xA0:
        return await _array(stream, first & 0x0F)
    if first < 0xC0:
        return await _text(stream, first & 0x1F)
    if first in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[first]
    if first in NUMBERS:
        return await _number(stream, NUMBERS[first])
    if 0xD4 <= first <= 0xD8:
        return await _extension(stream, 1 << (first - 0xD4))
    if first not in LENGTHS:
        raise ValueError(f"no MessagePack value begins with 0x{first:02x}")
    size = await _number(stream, LENGTHS[first])
    if first <= 0xC6:
        return await stream.readexactly(size)
    if first <= 0xC9:
        return await _extension(stream, size)
    if first <= 0xDB:
        return await _text(stream, size)
    return await (_array if first <= 0xDD else _map)(stream, size)


async def decode_all(packed: bytes) -> list[Any]:
    """Every value of a byte string."""
    stream, values = StreamReader(), []
    stream.feed_data(packed)
    stream.feed_eof()
    while not stream.at_eof():
        values.append(await decode(stream))
    return values


async def _number(stream: StreamReader, form: str) -> Any:
    return struct.unpack(form, await stream.readexactly(struct.calcsize(form)))[0]


async def _text(stream: StreamReader, size: int) -> str:
    return (await stream.readexactly(size)).decode(errors="replace")


async def _array(stream: StreamReader, size: int) -> list[Any]:
    return [await decode(stream) for _ in range(size)]


async def _map(stream: StreamReader, size: int) -> dict[Any, Any]:
    return {await decode(stream): await decode(stream) for _ in range(size)}


async def _extension(stream: StreamReader, size: int) -> EventTime:
    kind = await _number(stream, ">b")
    data = await stream.readexactly(size)
    if (kind, size) != (EVENT_TIME, 8):
        raise ValueError(f"extension type {kind} is not EventTime")
    return EventTime(*struct.unpack(">II", data))


def encode(value: Any) -> bytes:
    """What an answer, and a buffer's .meta file, are made of."""
    match value:
        case None:
            return b"\xc0"
        case int():
            return bytes([value]) if 0 <= value < 0x80 else struct.pack(">Bq", 0xD3, value)
        case str():
            data = value.encode()
            return struct.pack(">BI", 0xDB, len(data)) + data
        case bytes():
            return struct.pack(">BI", 0xC6, len(value)) + value
        case dict():
            members = (encode(key) + encode(each) for key, each in value.items())
            return struct.pack(">BI", 0xDF, len(value)) + b"".join(members)
    raise TypeError(f"cannot encode {value!r}")
