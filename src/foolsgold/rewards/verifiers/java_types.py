"""Java's types as Python values: parsed from their names, and values to and from bytes of the Java server."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

BITS = {"byte": 8, "short": 16, "int": 32, "long": 64}
"""Width of the integers, in bits."""
_BOXED = {
    "Byte": "byte",
    "Short": "short",
    "Integer": "int",
    "Long": "long",
    "Character": "char",
    "Boolean": "boolean",
    "Float": "float",
    "Double": "double",
    "CharSequence": "String",
}
_LISTS = {
    "List",
    "ArrayList",
    "LinkedList",
    "Collection",
    "Iterable",
    "Queue",
    "Deque",
    "ArrayDeque",
    "Stack",
    "Vector",
}
_SETS = {"Set", "HashSet", "LinkedHashSet", "TreeSet", "SortedSet", "NavigableSet"}
_MAPS = {"Map", "HashMap", "LinkedHashMap", "TreeMap", "SortedMap", "NavigableMap", "Hashtable"}
_ANY = {"Object", "Number", "Comparable", "?"}
_TEXTS = {"String", "StringBuilder", "StringBuffer"}


@dataclass(frozen=True)
class JavaType:
    """A type that values can be made for."""

    kind: str
    """byte, short, int, long, char, boolean, float, double, BigInteger, String, StringBuilder, array, list, set, map,
    void, or other: one that no values can be made for."""
    name: str
    """As Java writes it, without packages."""
    of: tuple[JavaType, ...] = ()
    """Of elements, or of keys and of values."""

    @property
    def mutable(self) -> bool:
        """Whether a method can change such an argument so that its caller sees it."""
        return self.kind in ("array", "list", "set", "map")

    @property
    def known(self) -> bool:
        """Whether values of it can be made."""
        return self.kind not in ("other", "void") and all(each.known for each in self.of)


@dataclass(frozen=True)
class Signature:
    """Of a Java method."""

    returns: JavaType
    parameters: tuple[JavaType, ...]
    names: tuple[str, ...]
    """Of the parameters."""


def java_type(name: str) -> JavaType:
    """The type that Java calls `name`, such as `java.util.Map<java.lang.String, int[]>`.

    Raw collections, Object and type variables are taken for those of Integer.
    """
    name = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", name.strip().replace("...", "[]"))
    name = re.sub(r"^\?\s*(?:extends|super)\s+", "", name)
    if name.endswith("]"):
        return JavaType("array", name, (java_type(name[: name.rindex("[")]),))
    raw, _, arguments = name.partition("<")
    raw = raw.strip()
    of = tuple(java_type(each) for each in split(arguments.rstrip()[:-1])) if arguments else ()
    if raw in _LISTS | _SETS or raw == "PriorityQueue":
        # A priority queue's order is its own, and no list in Python has it.
        kind = "list" if raw in _LISTS else "set" if raw in _SETS else "other"
        return JavaType(kind, name, of or (java_type("Integer"),))
    if raw in _MAPS:
        return JavaType("map", name, of or (java_type("Integer"),) * 2)
    if raw in _ANY or re.fullmatch(r"[A-Z]\d?", raw):
        return JavaType("int", name)
    if raw in _TEXTS:
        return JavaType("String" if raw == "String" else "StringBuilder", name)
    kind = _BOXED.get(raw, raw)
    plain = {*BITS, "char", "boolean", "float", "double", "String", "BigInteger", "void"}
    return JavaType(kind if kind in plain else "other", name)


def split(text: str) -> list[str]:
    """`text` cut at the commas that no brackets enclose; nothing for an empty one."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "<([{") - (character in ">)]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [each.strip() for each in parts] if text.strip() else []


def parameter_types(signature: str) -> list[JavaType] | None:
    """Of a signature as it stands in a source, such as `static int f(final int[] a, String s)`; None without any."""
    inside = re.search(r"\((.*)\)", signature, re.DOTALL)
    if inside is None:
        return None
    types = []
    for parameter in split(inside.group(1)):
        plain = re.sub(r"@\w+|\bfinal\b", "", parameter).strip()
        named = re.fullmatch(r"(.*?[\s>\]])\s*\w+\s*((?:\[\s*\]\s*)*)", plain, re.DOTALL)
        types.append(java_type(re.sub(r"\s*\[\s*\]", "[]", "".join(named.groups()) if named else plain)))
    return types


_NUMBERS = {
    "byte": ("B", ">b"),
    "short": ("S", ">h"),
    "int": ("I", ">i"),
    "long": ("J", ">q"),
    "float": ("F", ">f"),
    "double": ("D", ">d"),
}


def encode(value: Any, type_: JavaType) -> bytes:
    """`value` for the server, as an argument of the type.

    Raises:
      ValueError: it is no such value.
    """
    kind = type_.kind
    if value is None and type_.name not in (*BITS, "char", "boolean", "float", "double"):
        return b"N"
    if kind == "boolean" and isinstance(value, bool):
        return b"Z" + struct.pack(">?", value)
    if kind in _NUMBERS and not isinstance(value, bool):
        tag, form = _NUMBERS[kind]
        allowed = int if kind in BITS else (int, float)
        if isinstance(value, allowed):
            try:
                return tag.encode() + struct.pack(form, value)
            except (struct.error, OverflowError):
                raise ValueError(f"{value} does not fit Java's {type_.name}") from None
    if kind == "char" and isinstance(value, str) and len(value) == 1 and ord(value) < 0x10000:
        return b"C" + struct.pack(">H", ord(value))
    if kind == "BigInteger" and isinstance(value, int):
        return b"G" + text(str(value))
    if kind in ("String", "StringBuilder"):
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            value = "".join(value)  # a function that changes its text takes a list of characters
        if isinstance(value, str):
            return b"T" + text(value)
    if kind in ("array", "list", "set") and isinstance(value, (list, tuple, set, frozenset, str)):
        return b"L" + struct.pack(">i", len(value)) + b"".join(encode(each, type_.of[0]) for each in value)
    if kind == "map" and isinstance(value, dict):
        pairs = [encode(each, of) for pair in value.items() for each, of in zip(pair, type_.of, strict=True)]
        return b"M" + struct.pack(">i", len(value)) + b"".join(pairs)
    raise ValueError(f"{value!r:.80} is no {type_.name}")


def text(value: str) -> bytes:
    """A string for the server: its bytes in UTF-16, half characters too, after their number."""
    encoded = value.encode("utf-16-be", "surrogatepass")
    return struct.pack(">i", len(encoded)) + encoded


def from_json(value: Any, type_: JavaType) -> Any:
    """An argument that JSON could not hold as it is: maps from lists of pairs, sets from lists."""
    if type_.kind == "map" and isinstance(value, (list, tuple)):
        return {frozen(key): from_json(each, type_.of[1]) for key, each in value}
    if type_.kind == "set" and isinstance(value, (list, tuple)):
        return {frozen(each) for each in value}
    if type_.kind in ("array", "list") and isinstance(value, list):
        return [from_json(each, type_.of[0]) for each in value]
    return value


def frozen(value: Any) -> Any:
    """`value` as one that sets and dictionaries can hold."""
    if isinstance(value, (list, tuple)):
        return tuple(frozen(each) for each in value)
    if isinstance(value, (set, frozenset)):
        return frozenset(frozen(each) for each in value)
    if isinstance(value, dict):
        return frozenset((frozen(key), frozen(each)) for key, each in value.items())
    return value


class Reader:
    """Reads what the server wrote."""

    def __init__(self, frame: bytes):
        self._frame = frame
        self._at = 0

    def take(self, form: str) -> Any:
        """The next number, in `struct`'s form."""
        (value,) = struct.unpack_from(form, self._frame, self._at)
        self._at += struct.calcsize(form)
        return value

    def tag(self) -> str:
        """The next byte, as a letter."""
        return chr(self.take(">B"))

    def text(self) -> str:
        """The next string."""
        size = self.take(">i")
        self._at += size
        return self._frame[self._at - size : self._at].decode("utf-16-be", "surrogatepass")

    def value(self) -> Any:
        """The next value: None, bool, int, float, str (a char too), list, set or dict."""
        tag = self.tag()
        if tag == "N":
            return None
        if tag in "ZJD":
            return self.take({"Z": ">?", "J": ">q", "D": ">d"}[tag])
        if tag == "G":
            return int(self.text())
        if tag == "T":
            return self.text()
        size = self.take(">i")
        if tag == "M":
            return {frozen(self.value()): self.value() for _ in range(size)}
        items = [self.value() for _ in range(size)]
        return {frozen(each) for each in items} if tag == "H" else items


def chosen(signatures: Sequence[Signature], wanted: str | None) -> int:
    """Which of a method's overloads a signature means; without one, the first.

    Raises:
      ValueError: none is meant.
    """
    if not signatures:
        raise ValueError("has no method of that name")
    if not wanted:
        return 0
    types = parameter_types(wanted)
    for i, each in enumerate(signatures):
        if types is not None and [_plain(of) for of in each.parameters] == [_plain(of) for of in types]:
            return i
    raise ValueError(f"has no method of the signature {wanted!r}")


def _plain(type_: JavaType) -> str:
    return re.sub(r"<.*>|\s", "", type_.name)
