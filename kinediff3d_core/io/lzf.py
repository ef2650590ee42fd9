"""Decompression of LZF, the compression of PCD files."""

from __future__ import annotations

MAX_UNPACKED = 128 * 2**20
"""Largest size of unpacked data, bytes. Chosen: bounds memory; four million points of 32 bytes."""
MAX_STEPS = 10_000_000
"""Most runs and repeats. Chosen: bounds time, to about six seconds."""
LITERAL = 32
"""Control bytes below this are before as many bytes, plus one, that stand for themselves."""
LONG = 7
"""Length in a control byte that says that a byte with the rest of the length follows."""


def decompress(data: bytes, size: int) -> bytes:
    """The unpacked bytes.

    Args:
        size: of the unpacked data.

    Raises:
        ValueError: damaged, or of another or too great a size.
    """
    if size > MAX_UNPACKED:
        raise ValueError(f'{size / 2**20:.0f} MiB unpacked are more than '
                         f'{MAX_UNPACKED / 2**20:.0f}; write DATA binary')
    out = bytearray()
    at, end = 0, len(data)
    try:
        for _ in range(MAX_STEPS):
            if at >= end:
                break
            control = data[at]
            at += 1
            if control < LITERAL:
                out += data[at:at + control + 1]
                at += control + 1
            else:
                length = control >> 5
                if length == LONG:
                    length += data[at]
                    at += 1
                start = len(out) - ((control & 31) << 8) - data[at] - 1
                at += 1
                _repeat(out, start, length + 2)
            if len(out) > size:
                break
    except IndexError as error:
        raise ValueError('damaged compressed data') from error
    if at < end and len(out) < size:
        raise ValueError('too many pieces of compressed data; write DATA binary')
    if len(out) != size or at > end:
        raise ValueError(f'damaged compressed data ({len(out)} bytes, not {size})')
    return bytes(out)


def _repeat(out: bytearray, start: int, length: int) -> None:
    """Append ``length`` bytes from ``start``, which may reach into what is appended."""
    if start < 0:
        raise IndexError
    period = len(out) - start
    piece = out[start:start + length]
    out += (piece * (length // period + 1))[:length] if period < length else piece
