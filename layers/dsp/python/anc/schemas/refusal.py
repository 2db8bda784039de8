"""One way to say no: a code for machines, and a sentence that names the field, the fault and the limit."""

import re
from typing import Any, NoReturn, TypeVar

import msgspec

from anc.validation_messages import msgspec_sentence, plain_document

T = TypeVar("T")
MAX_DEPTH = 32
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


class Refused(Exception):
    """A request that the platform will not do. Nothing stored has changed.

    Attributes
    ----------
    code : str
        Stable, for programs: `bad_field`, `too_large`, `stale_seq`, `unknown_session`, ...
    message : str
        For people.
    seq : int or None
        The block that was refused, when the refusal is about one.
    wait_s : int
        After how many seconds it may be tried again; 0 when time changes nothing.
    """

    def __init__(self, code: str, message: str, wait_s: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.seq: int | None = None
        self.wait_s = wait_s


def refuse(code: str, message: str) -> NoReturn:
    """Raise Refused; an expression, so that it can stand behind `or`."""
    raise Refused(code, message)


def check_depth(text: str | bytes, most: int = MAX_DEPTH) -> None:
    """Refuse JSON that nests deeper than any document of this platform.

    A decoder written in C takes deeper documents than the code that walks through what it returns.

    Raises
    ------
    Refused
        `bad_json`.
    """
    text = text.encode(errors="replace") if isinstance(text, str) else text
    if text.count(b"[") + text.count(b"{") <= most:
        return
    depth = 0
    for token in _TOKENS.finditer(text):
        match token[0][:1]:
            case b"[" | b"{":
                depth += 1
                if depth > most:
                    refuse("bad_json", f"not a JSON document: nested deeper than {most} levels")
            case b"]" | b"}":
                depth -= 1


def parse_json(text: str | bytes, kind: Any) -> Any:
    """Decode JSON into the given msgspec type, or refuse with the field's name and its limit."""
    try:
        value = msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as fault:
        raise Refused("bad_field", msgspec_sentence(str(fault), kind, plain_document(text))) from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        check_depth(text)
        raise Refused("bad_json", f"not a JSON document: {fault}") from fault
    check_depth(text)
    return value
