"""Plain data as JSON and back: how values cross between processes that do not trust each other.

JSON has no tuples, sets, bytes or ranges; each is an object with one key that names its kind. Nothing in a text can
name a class or call a function. This file also runs inside the sandbox, on the standard library alone.
"""

import json

DEPTH = 100
"""Containers inside each other."""
SMALL = 1 << 63
"""Integers from here on are written in base 16, whose conversion takes time linear in the digits."""


def dumps(value):
    """One line of JSON.

    Raises:
      TypeError: something in it is no plain data.
      ValueError: it is nested too deep, or contains itself.
    """
    return json.dumps(_packed(value, DEPTH), separators=(",", ":"))


def loads(text):
    """The value of a line that `dumps` wrote; instances of subclasses come back as the plain class.

    Raises:
      ValueError: the text is none that `dumps` writes.
    """
    try:
        return _unpacked(json.loads(text))
    except (TypeError, ValueError, RecursionError, AttributeError, OverflowError, MemoryError) as error:
        raise ValueError(f"no plain data: {error}") from None


def _packed(value, depth):
    if value is None or value is True or value is False:
        return value
    if depth == 0:
        raise ValueError(f"more than {DEPTH} containers inside each other")
    for kind, pack in _PACK:
        if isinstance(value, kind):
            return pack(value, depth - 1)
    raise TypeError(f"{type(value).__name__} is no plain data")


def _packed_int(value, depth):
    plain = int.__pos__(value)
    return plain if -SMALL < plain < SMALL else {"int": hex(plain)}


def _packed_dict(value, depth):
    return {
        "dict": [[_packed(key, depth), _packed(dict.__getitem__(value, key), depth)] for key in dict.__iter__(value)]
    }


def _items(kind):
    return lambda value, depth: [_packed(each, depth) for each in kind.__iter__(value)]


def _tagged_items(kind):
    items = _items(kind)
    return lambda value, depth: {kind.__name__: items(value, depth)}


# Methods of the plain classes, not of the value's own: what a subclass says of itself does not count.
_PACK = (
    (str, lambda value, depth: str.__str__(value)),
    (int, _packed_int),
    (float, lambda value, depth: float.__pos__(value)),
    (list, _items(list)),
    (tuple, _tagged_items(tuple)),
    (dict, _packed_dict),
    (set, _tagged_items(set)),
    (frozenset, _tagged_items(frozenset)),
    (bytes, lambda value, depth: {"bytes": bytes.hex(value)}),
    (complex, lambda value, depth: {"complex": [value.real, value.imag]}),
    (range, lambda value, depth: {"range": [_packed_int(each, 0) for each in (value.start, value.stop, value.step)]}),
)


def _unpacked(value):
    kind = type(value)
    if kind is list:
        return [_unpacked(each) for each in value]
    if kind is not dict:
        return value
    ((tag, body),) = value.items()
    return _UNPACK[tag](body) if tag in _UNPACK else _unknown(tag)


def _unknown(tag):
    raise ValueError(f"unknown kind {tag!r}")


def _unpacked_dict(body):
    keys = _distinct([_unpacked(key) for key, _ in body])
    return dict(zip(keys, [_unpacked(value) for _, value in body], strict=True))


def _distinct(keys):
    """`keys`, unless so many share a hash that a set of them would take time quadratic in their number."""
    if len(keys) > 256 and len({hash(key) for key in keys}) < len(keys) // 8:
        raise ValueError("too many keys with the same hash")
    return keys


_UNPACK = {
    "int": lambda body: int(body, 16),
    "tuple": lambda body: tuple([_unpacked(each) for each in body]),
    "dict": _unpacked_dict,
    "set": lambda body: set(_distinct([_unpacked(each) for each in body])),
    "frozenset": lambda body: frozenset(_distinct([_unpacked(each) for each in body])),
    "bytes": bytes.fromhex,
    "complex": lambda body: complex(*map(float, body)),
    "range": lambda body: range(*map(_unpacked, body)),
}
