"""Refusals: the exception for every rejected request, and the JSON parser that raises it."""

import re
from typing import Any, NoReturn, TypeVar

import msgspec

from anc.validation_messages import msgspec_sentence, plain_document

T = TypeVar("T")
MAX_DEPTH = 32
# A string without an end matches, too: otherwise each quote in it would be tried as the start of another one.
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


class Refused(Exception):
    """A request was rejected, and nothing stored has changed.

    Attributes
    ----------
    code : str
        Stable code for programs: `bad_field`, `too_large`, `stale_seq`, `unknown_session`, ...
    message : str
        Explanation for people: the field, the fault and the limit.
    seq : int or None
        Number of the rejected block, if there is one.
    wait_s : int
        Seconds until the request may be repeated; 0 if waiting does not help.
    """

    def __init__(self, code: str, message: str, wait_s: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.seq: int | None = None
        self.wait_s = wait_s

    def __reduce__(self) -> tuple[type["Refused"], tuple[str, str, int]]:
        return Refused, (self.code, self.message, self.wait_s)  # a process may raise it for another


def refuse(code: str, message: str) -> NoReturn:
    """Raise Refused. Being an expression, it can follow `or`."""
    raise Refused(code, message)


def token_not_checked() -> Refused:
    """Return the refusal of a request whose token, which may be valid, cannot be checked at the moment."""
    return Refused("unavailable", "token: could not be checked, and nothing was done; try again", wait_s=5)


def check_depth(text: str | bytes, max_depth: int = MAX_DEPTH) -> None:
    """Reject JSON that is nested deeper than `max_depth` levels.

    The decoder, written in C, accepts deeper documents than recursive code in Python can process.

    Raises
    ------
    Refused
        `bad_json`.
    """
    text = text.encode(errors="replace") if isinstance(text, str) else text
    if text.count(b"[") + text.count(b"{") <= max_depth:
        return
    depth = 0
    for token in _TOKENS.finditer(text):
        match token[0][:1]:
            case b"[" | b"{":
                depth += 1
                if depth > max_depth:
                    refuse("bad_json", f"not a JSON document: nested deeper than {max_depth} levels")
            case b"]" | b"}":
                depth -= 1


def parse_json(text: str | bytes, kind: Any) -> Any:
    """Decode JSON into a msgspec type. Raises Refused, naming the field and what is allowed."""
    try:
        value = msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as fault:
        raise Refused("bad_field", msgspec_sentence(str(fault), kind, plain_document(text))) from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        check_depth(text)
        raise Refused("bad_json", f"not a JSON document: {fault}") from fault
    check_depth(text)
    return value
