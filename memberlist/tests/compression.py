"""The encoder of Go's `compress/lzw` (LSB, 8-bit literals), for tests: the library itself never compresses."""


def compress(data: bytes) -> bytes:
    out, bits, pending, width, counter = bytearray(), 0, 0, 9, 257
    table: dict[bytes, int] = {}

    def emit(code: int) -> None:
        nonlocal bits, pending
        bits |= code << pending
        pending += width
        while pending >= 8:
            out.append(bits & 0xFF)
            bits >>= 8
            pending -= 8

    def count() -> bool:
        """Count an emitted code; true if that filled the table, which is then begun anew."""
        nonlocal width, counter
        counter += 1
        if counter == 1 << width:
            width += 1
        if counter == 4095:
            emit(256)
            width, counter = 9, 257
            table.clear()
            return True
        return False

    emit(256)
    current = b""
    for byte in data:
        longer = current + bytes((byte,))
        if len(longer) == 1 or longer in table:
            current = longer
            continue
        emit(table.get(current, current[0]))
        if not count():
            table[longer] = counter
        current = longer[-1:]
    if current:
        emit(table.get(current, current[0]))
        count()
    emit(257)
    if pending:
        out.append(bits & 0xFF)
    return bytes(out)


def compressed_zeros(count: int) -> bytes:
    """At least `count` zero bytes, up to 7 MB, as small as can be: each code is the one that is just being defined."""
    codes = [256, 0]
    length = 1
    while length < count:
        length += len(codes)
        codes.append(256 + len(codes))
    bits, pending, width, top = 0, 0, 9, 256
    for code in [*codes, 257]:
        bits |= code << pending
        pending += width
        top += 1
        if top == 1 << width and width < 12:
            width += 1
    return bits.to_bytes((pending + 7) // 8, "little")
