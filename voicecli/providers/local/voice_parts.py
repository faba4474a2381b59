"""Division of a voice's graph (ONNX, of Piper's kind) into two, so that sound can be had before all of it is made.

phonemes -> acoustic part -> latent frames -> decoder -> samples

The decoder makes a sample from the few frames around it, so that it can be run on some of them at a time. The file is
protobuf; what is not looked at is copied as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["FRAMES", "split_voice"]

FRAMES = "/Mul_7_output_0"
"""Name of the latent frames, float32 shaped (1, 192, count): the acoustic part's output, the decoder's input."""

_SOUND = "output"

# Numbers of fields, by ONNX's schema.
_GRAPH = 7  # of a model
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13  # of a graph
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_INITIALIZER_NAME = 8
_VALUE_NAME = 1
_FLOAT_TENSOR = b"\x12\x04\x0a\x02\x08\x01"  # the type of a value: a tensor of float32, of any shape


@dataclass(frozen=True, slots=True)
class _Field:
    """Field of a message: its number, its content, and all of it as encoded."""

    number: int
    content: memoryview
    encoded: memoryview


def split_voice(model: bytes) -> tuple[bytes, bytes]:
    """Split a model into its acoustic part and its decoder.

    Raises:
        ValueError: it is no model with these frames.
    """
    fields = _fields(memoryview(model))
    around = b"".join(field.encoded for field in fields if field.number != _GRAPH)
    graph = [part for field in fields if field.number == _GRAPH for part in _fields(field.content)]
    frames = _encoded(_VALUE_NAME, FRAMES.encode()) + _FLOAT_TENSOR
    inputs = b"".join(field.encoded for field in graph if field.number == _INPUT)
    outputs = b"".join(field.encoded for field in graph if field.number == _OUTPUT)
    acoustic = _part(graph, None, FRAMES) + inputs + _encoded(_OUTPUT, frames)
    decoder = _part(graph, FRAMES, _SOUND) + _encoded(_INPUT, frames) + outputs
    return around + _encoded(_GRAPH, acoustic), around + _encoded(_GRAPH, decoder)


def _part(graph: list[_Field], begin: str | None, end: str) -> bytes:
    """The nodes that make the value `end`, of the value `begin` if there is one; without inputs and outputs."""
    makers = {
        name: node for node in graph if node.number == _NODE for name in _names(node.content, _NODE_OUTPUT)
    }  # by value
    values, wanted = {begin}, [end]
    nodes: set[int] = set()
    if end not in makers:
        raise ValueError(f"no value {end}")
    while wanted:
        value = wanted.pop()
        if value in values:
            continue
        values.add(value)
        if (node := makers.get(value)) is not None:
            nodes.add(id(node))
            wanted += _names(node.content, _NODE_INPUT)
    return b"".join(
        field.encoded
        for field in graph
        if (field.number != _NODE or id(field) in nodes)
        and (field.number != _INITIALIZER or not values.isdisjoint(_names(field.content, _INITIALIZER_NAME)))
        and field.number not in (_INPUT, _OUTPUT, _VALUE_INFO)
    )


def _names(message: memoryview, number: int) -> list[str]:
    return [str(field.content, "utf-8") for field in _fields(message) if field.number == number]


def _fields(message: memoryview) -> list[_Field]:
    return list(_each_field(message))


def _each_field(message: memoryview) -> Iterator[_Field]:
    end = 0
    while (begin := end) < len(message):
        key, content = _varint(message, begin)
        match key & 7:  # the wire type
            case 0:
                _, end = _varint(message, content)
            case 1:
                end = content + 8
            case 2:
                size, content = _varint(message, content)
                end = content + size
            case 5:
                end = content + 4
            case other:
                raise ValueError(f"no protobuf: wire type {other}")
        if end > len(message):
            raise ValueError("cut short")
        yield _Field(key >> 3, message[content:end], message[begin:end])


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The number at this position, and the position after it."""
    value = shift = 0
    for byte in message[position : position + 10]:
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("cut short")


def _encoded(number: int, content: bytes) -> bytes:
    """A field whose content is a string or a message."""
    size, length = len(content), bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content
