"""Reads `types/*.d.ts`, the scripts' descriptions of messages, and writes Python's types the same way to compare them."""

from __future__ import annotations

import re
import types
import typing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

TYPES = Path(__file__).parents[2] / "types"


class Field(NamedTuple):
    optional: bool
    type: str


def interfaces(name: str) -> dict[str, dict[str, Field]]:
    """Interface → its fields, inherited ones included, of one file."""
    found: dict[str, dict[str, Field]] = {}
    text = (TYPES / name).read_text("utf-8")
    for kind, parent, body in re.findall(r"^  interface (\w+)(?: extends (\w+))? \{\n(.*?)^  \}", text, re.DOTALL | re.MULTILINE):
        fields = re.findall(r"^    (\w+)(\??): (.*);$", body, re.MULTILINE)
        found[kind] = {**found.get(parent, {}), **{field: Field(bool(mark), kind_) for field, mark, kind_ in fields}}
    return found


def words(name: str, kind: str) -> set[str]:
    """The texts that a type of one file allows."""
    match = re.search(rf"^  type {kind} =((?:\s*\| \"\w+\")+);", (TYPES / name).read_text("utf-8"), re.MULTILINE)
    assert match, kind
    return set(re.findall(r'"(\w+)"', match[1]))


def typescript(kind: Any) -> str:
    """A type of a message's field as the scripts write it."""
    plain = {str: "string", int: "number", bool: "boolean", type(None): "null"}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in plain:
        return plain[kind]
    if origin is Literal:
        return " | ".join(f'"{word}"' for word in arguments)
    if origin in (types.UnionType, typing.Union):
        return " | ".join(typescript(each) for each in arguments)
    if origin is tuple:
        element = typescript(arguments[0])
        return f"({element})[]" if " " in element else f"{element}[]"
    if origin is dict:
        return f"Record<{typescript(arguments[0])}, {typescript(arguments[1])}>"
    assert issubclass(kind, msgspec.Struct), kind
    return str(kind.__name__)


def difference(struct: type[msgspec.Struct], described: dict[str, Field]) -> list[str]:
    """What a description says otherwise than the class. Only a field with a default may be missing; then it need not say null."""
    wrong = []
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    if set(fields) != set(described):
        wrong.append(f"{struct.__name__}: {sorted(set(fields) ^ set(described))}")
    for name in set(fields) & set(described):
        field, told = fields[name], described[name]
        expected = typescript(field.type)
        allowed = {expected, expected.removesuffix(" | null")} if told.optional else {expected}
        if (told.optional and field.required) or told.type.replace("Wire.", "") not in allowed:
            wrong.append(f"{struct.__name__}.{name}: {told} is not {expected}")
    return wrong
