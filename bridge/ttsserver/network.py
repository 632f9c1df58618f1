"""Cuts a network (ONNX, a protocol buffer) into parts, to work on what runs between them.

Only the few fields that say what is connected to what are read; nodes and weights are carried over as
they are. The onnx package would do it too, and is larger than the voice.
"""

from collections.abc import Iterable, Iterator, Sequence

__all__ = ["extracted"]

# Field numbers of onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 2, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_TENSOR_NAME = 8
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR = 1, 2, 1
_FLOAT = b"\x08\x01"  # elem_type = FLOAT
_BYTES = 2  # wire type of all of them


def extracted(model: bytes, inputs: Iterable[str], outputs: Sequence[str]) -> bytes:
    """The part of `model` that leads to `outputs`.

    Args:
        model: A whole model.
        inputs: Tensors of 32-bit floats inside the model that the part shall be given.
        outputs: Tensors that the part shall tell, in this order.

    Raises:
        ValueError: If a tensor of `outputs` or on the way to them comes from nowhere.
    """
    view = memoryview(model)
    fields = list(_fields(view))
    graph = next(value for number, value in fields if number == _MODEL_GRAPH)
    parts = list(_fields(graph))
    given = {name.encode() for name in inputs}
    nodes = [(value, *_ends(value)) for number, value in parts if number == _GRAPH_NODE]
    weights = {_name(value, _TENSOR_NAME): value for number, value in parts if number == _GRAPH_INITIALIZER}
    own = {_name(value, _VALUE_NAME): value for number, value in parts if number == _GRAPH_INPUT}
    kept, used = _reached(nodes, [name.encode() for name in outputs], given)
    if missing := used - given - weights.keys() - own.keys():
        raise ValueError(f"the network has no tensor {min(missing).decode()}")
    body = [_field(_GRAPH_NAME, b"part")]
    body += [_field(_GRAPH_NODE, nodes[index][0]) for index in kept]
    body += [_field(_GRAPH_INITIALIZER, weights[name]) for name in weights if name in used]
    body += [_field(_GRAPH_INPUT, own[name]) for name in own if name in used]
    body += [_field(_GRAPH_INPUT, _value(name)) for name in sorted(given & used)]
    body += [_field(_GRAPH_OUTPUT, _field(_VALUE_NAME, name.encode())) for name in outputs]
    rest = b"".join(_field(number, value) for number, value in _others(view))
    return rest + _field(_MODEL_GRAPH, b"".join(body))


def _reached(
    nodes: Sequence[tuple[memoryview, list[bytes], list[bytes]]], wanted: list[bytes], given: set[bytes]
) -> tuple[list[int], set[bytes]]:
    """Which nodes lead to `wanted`, in their order, and which tensors come from outside them."""
    maker = {name: index for index, (_, _, made) in enumerate(nodes) for name in made}
    kept: set[int] = set()
    outside: set[bytes] = set()
    seen: set[bytes] = set()
    while wanted:
        name = wanted.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        index = None if name in given else maker.get(name)
        if index is None:
            outside.add(name)
        elif index not in kept:
            kept.add(index)
            wanted += nodes[index][1]
    return sorted(kept), outside


def _ends(node: memoryview) -> tuple[list[bytes], list[bytes]]:
    taken, made = [], []
    for number, value in _fields(node):
        if number == _NODE_INPUT:
            taken.append(bytes(value))
        elif number == _NODE_OUTPUT:
            made.append(bytes(value))
    return taken, made


def _name(message: memoryview, number: int) -> bytes:
    return next(bytes(value) for found, value in _fields(message) if found == number)


def _value(name: bytes) -> bytes:
    kind = _field(_TYPE_TENSOR, _FLOAT)
    return _field(_VALUE_NAME, name) + _field(_VALUE_TYPE, kind)


def _others(model: memoryview) -> Iterator[tuple[int, bytes | memoryview]]:
    """What stands beside the graph: the version of the format and the operators that are used."""
    for number, value in _fields(model, with_numbers=True):
        if number != _MODEL_GRAPH:
            yield number, value


def _fields(message: memoryview, *, with_numbers: bool = False) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message that are bytes; numbers too, as they are on the wire, tag and all."""
    at = 0
    while at < len(message):
        begin = at
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _BYTES:
            size, at = _varint(message, at)
            yield key >> 3, message[at : at + size]
            at += size
            continue
        at = _varint(message, at)[1] if kind == 0 else at + (8 if kind == 1 else 4)
        if with_numbers:
            yield 0, message[begin:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _field(number: int, value: bytes | memoryview) -> bytes:
    if number == 0:
        return bytes(value)
    size, prefix = len(value), bytearray([number << 3 | _BYTES])
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + bytes(value)
