"""From the structs of the contracts to JSON Schema: what each message looks like on the wire.

A walk over msgspec's own description of a type, as its `schema_components` cannot write the default
of a `Raw` field. Written are the keywords that JSON Schema 2020-12 and draft-07 (which AsyncAPI
builds on) have in common; `$defs`, or where else definitions stand, is the caller's.
"""

import ast
import inspect
import sys
from collections.abc import Callable
from enum import Enum, EnumMeta
from functools import cache
from typing import Any, Final, get_origin

import msgspec
from msgspec import NODEFAULT, Raw, Struct
from msgspec import inspect as described

from goal_contracts.fields import NUMBER_PATTERN
from goal_contracts.glossary import meaning

Schema = dict[str, Any]


def portable(pattern: str) -> str:
    r"""A pattern as every dialect reads it: that `$` lets a newline pass is Python's own."""
    return pattern.removesuffix(r"(?!\n)")


_PLAIN: Final[dict[type[described.Type], Schema]] = {
    described.BoolType: {"type": "boolean"},
    described.NoneType: {"type": "null"},
    described.DateType: {"type": "string", "format": "date"},
    described.DateTimeType: {"type": "string", "format": "date-time"},
    described.DecimalType: {"type": "string", "pattern": portable(NUMBER_PATTERN)},
    described.RawType: {},
    # What an envelope holds, until a message says what it is.
    described.AnyType: {},
}


class SchemaWalk:
    """Schemas of several messages that share their definitions.

    `closed`: what others write to us. No object may have a field that is not described there, and
    a decimal may be a JSON number, too; we write them as text, so that nobody loses a digit.
    `refer` gives the reference to a definition by its name.
    """

    def __init__(self, refer: Callable[[str], str], *, closed: bool) -> None:
        self.definitions: dict[str, Schema] = {}
        self._kinds: dict[str, type] = {}
        self._refer = refer
        self._closed = closed

    def message(self, of: object) -> Schema:
        """The schema of a struct itself, while what it is made of goes to the definitions."""
        info = described.type_info(of)
        if not isinstance(info, described.StructType):
            raise TypeError(f"{of} is no message")
        return self._struct(info)

    def schema(self, of: object) -> Schema:
        """The schema of any type; a struct is referred to."""
        return self._schema(described.type_info(of))

    def _schema(self, info: described.Type) -> Schema:
        match info:
            case described.Metadata():
                return {**self._schema(info.type), **(info.extra_json_schema or {})}
            case described.StrType() | described.IntType():
                return _limited(info)
            case described.LiteralType():
                return {"type": "string", "enum": list(info.values)}
            case described.EnumType(cls=kind):
                return self._defined(kind, lambda: _enumeration(kind))
            case described.UnionType():
                return {"anyOf": [self._schema(each) for each in info.types]}
            case described.VarTupleType():
                return {"type": "array", "items": self._schema(info.item_type), **_count(info)}
            case described.TupleType(item_types=(first, *others)) if all(
                each == first for each in others
            ):
                count = 1 + len(others)
                items = self._schema(first)
                return {"type": "array", "items": items, "minItems": count, "maxItems": count}
            case described.StructType():
                return self._defined(info.cls, lambda: self._struct(info))
            case described.DecimalType() if self._closed:
                return {"anyOf": [dict(_PLAIN[described.DecimalType]), {"type": "number"}]}
            case _ if type(info) in _PLAIN:
                return dict(_PLAIN[type(info)])
            case _:
                raise TypeError(f"no schema is known for {info}")

    def _defined(self, kind: type, schema: Callable[[], Schema]) -> Schema:
        name = kind.__name__
        if self._kinds.setdefault(name, kind) is not kind:
            raise TypeError(f"{kind} and {self._kinds[name]} would be described under one name")
        if name not in self.definitions:
            # A struct that holds itself finds its own name there.
            self.definitions[name] = {}
            self.definitions[name] = schema()
        return {"$ref": self._refer(name)}

    def _struct(self, info: described.StructType) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        if info.tag_field is not None:
            properties[info.tag_field] = {"const": info.tag}
            required.append(info.tag_field)
        for field in info.fields:
            properties[field.encode_name] = self._field(info.cls, field)
            if field.required:
                required.append(field.encode_name)
        schema: Schema = {
            "title": _name(info.cls),
            "description": said_of(info.cls),
            "type": "object",
            "properties": properties,
        }
        if required:
            schema["required"] = required
        if self._closed:
            schema["additionalProperties"] = False
        return schema

    def _field(self, of: type[Struct], field: described.Field) -> Schema:
        info = field.type
        if field.default is None and not self._closed and of.__struct_config__.omit_defaults:
            info = _said(info)
        schema = self._schema(info)
        said = said_below(of).get(field.name) or meaning(_name(of), field.encode_name)
        if said:
            schema["description"] = said
        if field.default not in (NODEFAULT, None) and not isinstance(field.default, Raw):
            schema["default"] = msgspec.to_builtins(field.default)
        return schema


def said_of(kind: type) -> str:
    """A class's docstring: its paragraphs, each on one line."""
    paragraphs = (inspect.getdoc(get_origin(kind) or kind) or "").split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs)


@cache
def said_below(kind: type) -> dict[str, str]:
    """The fields of a class, each with the docstring that stands below it, on one line."""
    of = get_origin(kind) or kind
    said: dict[str, str] = {}
    field = ""
    for node in _classes(of.__module__).get(of.__name__, ()):
        match node:
            case (
                ast.AnnAssign(target=ast.Name(id=field)) | ast.Assign(targets=[ast.Name(id=field)])
            ):
                pass
            case ast.Expr(value=ast.Constant(value=str(text))) if field:
                said[field] = " ".join(text.split())
                field = ""
            case _:
                field = ""
    return said


@cache
def _classes(module: str) -> dict[str, list[ast.stmt]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}


def _said(info: described.Type) -> described.Type:
    """A type without None: what we leave out where it is None is never written as null."""
    if not isinstance(info, described.UnionType):
        return info
    others = tuple(each for each in info.types if not isinstance(each, described.NoneType))
    return others[0] if len(others) == 1 else described.UnionType(others)


def _name(kind: type) -> str:
    return (get_origin(kind) or kind).__name__


def _enumeration(kind: EnumMeta) -> Schema:
    members: dict[str, Enum] = dict(kind.__members__)
    values = [each.value for each in members.values()]
    return {"title": kind.__name__, "description": said_of(kind), "type": "string", "enum": values}


def _limited(info: described.StrType | described.IntType) -> Schema:
    if isinstance(info, described.IntType):
        limits = {"minimum": info.ge, "maximum": info.le}
        return {"type": "integer"} | {
            key: value for key, value in limits.items() if value is not None
        }
    limits = {"minLength": info.min_length, "maxLength": info.max_length}
    schema: Schema = {"type": "string"}
    schema |= {key: value for key, value in limits.items() if value is not None}
    return schema if info.pattern is None else {**schema, "pattern": portable(info.pattern)}


def _count(info: described.VarTupleType) -> Schema:
    limits = {"minItems": info.min_length, "maxItems": info.max_length}
    return {key: value for key, value in limits.items() if value is not None}
