"""Expansion of the LZW variant of Go's `compress/lzw`: least significant bit first, 8-bit literals.

Owns nothing else.  There is no compressor: compression is each sender's choice, and ours is not to.
"""

from memberlist.errors import WireError

CLEAR = 256
END = 257
FIRST_WIDTH = 9
LAST_WIDTH = 12


def expand(source: bytes, limit: int) -> bytes:
    """The bytes that `source` stands for.

    Raises WireError if it is malformed, has no end code, or would expand to more than `limit` bytes.
    """
    out = bytearray()
    table: dict[int, bytes] = {}
    previous: bytes | None = None
    width, top = FIRST_WIDTH, END
    bits = pending = position = 0
    size = len(source)
    while True:
        while pending < width:
            if position == size:
                raise WireError("compressed data end without an end code")
            bits |= source[position] << pending
            pending += 8
            position += 1
        code = bits & ((1 << width) - 1)
        bits >>= width
        pending -= width
        if code < CLEAR:
            current = bytes((code,))
        elif code == END:
            return bytes(out)
        elif code == CLEAR:
            width, top, previous = FIRST_WIDTH, END, None
            table.clear()
            continue
        elif code in table:
            current = table[code]
        elif code == top and previous is not None:
            current = previous + previous[:1]
        else:
            raise WireError(f"compressed data use code {code} before it is defined")
        out += current
        if len(out) > limit:
            raise WireError(f"compressed data expand to more than {limit} bytes")
        if previous is not None:
            table[top] = previous + current[:1]
        previous = current
        top += 1
        if top == 1 << width:
            if width < LAST_WIDTH:
                width += 1
            else:  # the table is full: it stays as it is until the next clear code
                top -= 1
                previous = None
