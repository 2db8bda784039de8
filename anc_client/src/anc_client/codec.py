"""Convert the dataclasses of `anc_client.schemas` to and from JSON."""

from dataclasses import asdict, fields, is_dataclass
from json import dumps
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin

T = TypeVar("T")


def encode(body: Any) -> bytes:
    """Return a body as JSON, without fields that are None, for which the platform has defaults.

    Raises
    ------
    ValueError
        A number is NaN or infinite, which JSON does not support.
    """
    given = asdict(body, dict_factory=lambda items: {name: each for name, each in items if each is not None})
    return dumps(given, allow_nan=False).encode()


def decode(kind: type[T], value: Any) -> T:
    """Return a JSON value as a dataclass; unknown fields are ignored.

    Raises
    ------
    ValueError
        A required field is missing, or the value is not a JSON object.
    """
    converted: T = _convert(kind, value)
    return converted


def _convert(kind: Any, value: Any) -> Any:
    if is_dataclass(kind):
        return _object(kind, value)
    outer, inner = get_origin(kind), get_args(kind)
    if outer is UnionType:
        (present,) = (each for each in inner if each is not NoneType)
        return None if value is None else _convert(present, value)
    if outer is list:
        return [_convert(inner[0], each) for each in value]
    if outer is dict:
        return {name: _convert(inner[1], each) for name, each in value.items()}
    return float(value) if kind is float else value


def _object(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"response must be a JSON object, {kind.__name__} (got {type(value).__name__})")
    known = {each.name: each.type for each in fields(kind) if each.name in value}
    try:
        return kind(**{name: _convert(each, value[name]) for name, each in known.items()})
    except TypeError as fault:  # a field is missing
        raise ValueError(f"response does not match this version of anc_client: {fault}") from fault
