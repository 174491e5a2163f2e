"""A file that comes in pieces, plain or gzip, as lines. Never more of it in memory than a piece and a line."""

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from rules.errors import InvalidInput

GZIP = b"\x1f\x8b"
PIECE = 1 << 20
"""Bytes that are unpacked at a time: a small archive may hold a huge file."""
SMALL, TOGETHER = 1 << 12, 255
"""Of pieces that are small, in bytes, so many more are taken together with the first."""
LONGEST_LINE = 64 << 20
"""Bytes; a summary may be one line, and holds the text of the script."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def lines_of(pieces: Iterable[bytes], problems: list[str]) -> Iterator[bytes]:
    """The lines without their ends. The pieces are lines with their ends, or cuts of any length, of a file as it is.

    A gzip file that ends too early adds a problem and the lines before it count. InvalidInput: it is damaged, a piece
    is not bytes, or a line is too long.
    """
    return chain.from_iterable(_batches(pieces, problems))


def _batches(pieces: Iterable[bytes], problems: list[str]) -> Iterator[list[bytes]]:
    left: list[bytes] = []
    length = 0
    for piece in _unpacked(pieces, problems):
        lines = piece.split(b"\n")
        length += len(lines[0])
        if length > LONGEST_LINE:
            raise InvalidInput("The load test's result", f"a line of {length} bytes", f"{LONGEST_LINE} bytes a line")
        left.append(lines[0])
        if len(lines) > 1:
            lines[0] = b"".join(left)
            left, length = [lines[-1]], len(lines[-1])
            yield lines[:-1]
    if length:
        yield [b"".join(left)]


def _unpacked(pieces: Iterable[bytes], problems: list[str]) -> Iterator[bytes]:
    source = _small(pieces)
    head = b""
    for piece in source:
        head += piece
        if len(head) >= len(BYTE_ORDER_MARK):
            break
    if head.startswith(GZIP):
        yield from _gunzipped(_again(head, source), problems)
    else:
        yield head.removeprefix(BYTE_ORDER_MARK)
        yield from source


def _small(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Neither lines one by one, which is slow, nor a whole file at once."""
    source = iter(pieces)
    for first in source:
        piece = first if isinstance(first, bytes) and len(first) > SMALL else _joined(first, islice(source, TOGETHER))
        for start in range(0, len(piece), PIECE):
            yield piece[start : start + PIECE]


def _joined(first: bytes, others: Iterable[bytes]) -> bytes:
    try:
        return b"".join((first, *others))
    except TypeError as error:
        kind = type(first).__name__
        raise InvalidInput("A piece of the load test's result", kind, "bytes", "Open it as binary.") from error


def _again(head: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _gunzipped(packed: Iterable[bytes], problems: list[str]) -> Iterator[bytes]:
    """Of one or several archives one after the other, which is what gzip calls a file."""
    unpack = zlib.decompressobj(wbits=31)
    at_start = True
    for piece in packed:
        rest = piece
        while rest:
            if unpack.eof:
                unpack, at_start = zlib.decompressobj(wbits=31), True
            out = _step(unpack, rest)
            at_start = False
            if out:
                yield out
            rest = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
    while not unpack.eof and (out := _step(unpack, unpack.unconsumed_tail)):
        yield out
    if not unpack.eof and not at_start:
        problems.append("The gzip file ends before its end: it was cut off.")


def _step(unpack: "zlib._Decompress", packed: bytes) -> bytes:
    try:
        return unpack.decompress(packed, PIECE)
    except zlib.error as error:
        raise InvalidInput("The load test's result", f"a damaged gzip file ({error})", "a whole one") from error
