"""Sentences for people from the validation errors of msgspec and pydantic.

Both libraries put regular expressions and class names into their messages. These name the field and what is
allowed: "taps: must be at most 4096 (got 9000)".
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from anc.patterns import description

MAX_QUOTED = 40  # characters of a value that a message repeats
TYPES = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
    "bytes": "a base64 string",
}
BOUNDS = {">=": "at least", "<=": "at most", ">": "greater than", "<": "less than"}
UNITS = {"str": "character", "array": "item", "object": "field", "bytes": "byte"}
# By the types of pydantic's errors.
PYDANTIC_RULES = {"extra_forbidden": "unknown field", "missing": "is required"}
PYDANTIC_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
    "greater_than": ("gt", "greater than"),
    "less_than": ("lt", "less than"),
}
PYDANTIC_LENGTHS = {
    "string_too_short": ("min_length", "at least", "character"),
    "string_too_long": ("max_length", "at most", "character"),
    "too_short": ("min_length", "at least", "item"),
    "too_long": ("max_length", "at most", "item"),
}
PYDANTIC_TYPES = {
    "int": "int",
    "float": "float",
    "finite": "float",
    "string": "str",
    "bool": "bool",
    "list": "array",
    "dict": "object",
    "model": "object",
}


def msgspec_sentence(message: str, kind: Any, document: Any = None) -> str:
    """Return the sentence for a message of `msgspec.ValidationError`.

    Parameters
    ----------
    message : str
    kind : type
        The type that was decoded into.
    document : object, optional
        What was decoded, as plain JSON values: a number out of range is quoted from it.
    """
    what, _, where = message.partition(" - at `")
    path = _parts(where)
    if found := re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", what, re.DOTALL):
        field = found[2][:MAX_QUOTED]
        return _joined([*path, field], "unknown field" if found[1] == "contains unknown" else "is required")
    return _joined(path, _msgspec_rule(what, path, kind, document))


def pydantic_sentence(error: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """Return the sentence for one of the errors of a `pydantic.ValidationError`, at a path in the input."""
    return _joined([str(part)[:MAX_QUOTED] for part in path] or ["body"], _pydantic_rule(error))


def _msgspec_rule(what: str, path: Sequence[str], kind: Any, document: Any) -> str:
    if found := re.fullmatch(r"Expected `(\w+)` matching regex (.*)", what, re.DOTALL):
        return _pattern_rule(ast.literal_eval(found[2]))
    if found := re.fullmatch(r"Expected `(\w+)` of length (<=|>=) (\d+)", what):
        return _length_rule(BOUNDS[found[2]], int(found[3]), UNITS[found[1]])
    if found := re.fullmatch(r"Expected `\w+` (<=|>=|<|>) (\S+)", what):
        return _bound_rule(BOUNDS[found[1]], found[2], _value(document, path))
    if found := re.fullmatch(r"Expected `([\w |]+)`(?:, got `(\w+)`)?", what):
        names = [TYPES.get(name, name) for name in found[1].split(" | ") if name != "null"]
        return f"must be {_listed(names)}" + (f" (got {TYPES.get(found[2], found[2])})" if found[2] else "")
    if what.startswith(("Invalid value", "Invalid enum value")):
        choices = dict.fromkeys(_choices([inspect.type_info(kind)], path))
        return _choice_rule([*choices], _value(document, path))
    return f"{what[0].lower()}{what[1:]}"


def _pydantic_rule(error: Mapping[str, Any]) -> str:
    kind, context, given = error["type"], error.get("ctx", {}), error.get("input")
    if kind in PYDANTIC_RULES:
        return PYDANTIC_RULES[kind]
    if kind == "string_pattern_mismatch":
        return _pattern_rule(context["pattern"])
    if kind == "literal_error":
        return _choice_rule(re.findall(r"'([^']*)'", context["expected"]), given)
    if kind in PYDANTIC_BOUNDS:
        name, bound = PYDANTIC_BOUNDS[kind]
        return _bound_rule(bound, str(context[name]), given)
    if kind in PYDANTIC_LENGTHS:
        name, bound, unit = PYDANTIC_LENGTHS[kind]
        return _length_rule(bound, context[name], unit)
    name = PYDANTIC_TYPES.get(kind.partition("_")[0], "")
    return f"must be {TYPES[name]}" if name else "has a value that is not allowed"


def _pattern_rule(pattern: str) -> str:
    allowed = description(pattern)
    return f"must be {allowed}" if allowed else "has a wrong format"


def _length_rule(bound: str, length: int, unit: str) -> str:
    return f"must have {bound} {length} {unit}{'' if length == 1 else 's'}"


def _bound_rule(bound: str, limit: str, given: Any) -> str:
    quoted = f" (got {given})" if _is_number(given) and len(str(given)) <= MAX_QUOTED else ""
    return f"must be {bound} {limit.removesuffix('.0')}{quoted}"


def _choice_rule(choices: Sequence[str], given: Any) -> str:
    quoted = f" (got '{given}')" if isinstance(given, str) and len(given) <= MAX_QUOTED else ""
    if len(choices) > 1:
        return f"must be one of {', '.join(choices)}{quoted}"
    return f"must be {choices[0]}{quoted}" if choices else "has a value that is not allowed"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(names) or "null"


def _joined(path: Sequence[str], rule: str) -> str:
    where = ".".join(path).replace("....", "[*]")  # of any key
    return f"{where}: {rule}" if where else rule


def _parts(where: str) -> list[str]:
    """Return the parts of a path of msgspec, as `$.reports[0].mode`; `...` for the key of a mapping."""
    return [name or index for name, index in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", where.partition("`")[0])]


def _value(document: Any, path: Sequence[str]) -> Any:
    try:
        for part in path:
            document = document[int(part) if part.isdigit() else part]
    except (LookupError, TypeError):
        return None
    return document


def _choices(types: Iterable[inspect.Type], path: Sequence[str]) -> Iterator[str]:
    """Return the values that may stand at a path below one of these types."""
    for each in types:
        if isinstance(each, inspect.UnionType):
            yield from _choices(each.types, path)
        elif isinstance(each, inspect.Metadata):
            yield from _choices([each.type], path)
        elif isinstance(each, inspect.LiteralType) and not path:
            yield from map(str, each.values)
        elif isinstance(each, inspect.StructType) and path:
            if path == [each.tag_field]:
                yield str(each.tag)
            inner = [field.type for field in each.fields if field.encode_name == path[0]]
            yield from _choices(inner, path[1:])
        elif isinstance(each, inspect.ListType | inspect.VarTupleType) and path:
            yield from _choices([each.item_type], path[1:])
        elif isinstance(each, inspect.DictType) and path:
            yield from _choices([each.value_type], path[1:])


def plain_document(text: str | bytes) -> Any:
    """Return the JSON values of a text, or None if it is no JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
