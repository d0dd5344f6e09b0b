"""Protobuf's wire format, written by hand: https://protobuf.dev/programming-guides/encoding/ ."""


def varint(value: int) -> bytes:
    result = b""
    while value > 0x7F:
        result += bytes([value & 0x7F | 0x80])
        value >>= 7
    return result + bytes([value])


def field(number: int, content: bytes, tag: bytes | None = None) -> bytes:
    """A field of bytes; `tag` in place of the right one."""
    return (tag or varint(number << 3 | 2)) + varint(len(content)) + content


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)
