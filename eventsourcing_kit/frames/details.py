"""What a table shows of the inside of events: moment, detail, and values at chosen places, with one decoding of each.

A table of 100,000 events reads as many details, so what is not asked for is passed over: msgspec makes a record of the
chosen places alone, in a fifth of the time that the whole detail would take.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.event import UNREADABLE, decode_json, detail_line, moment_or_none, on_one_line
from eventsourcing_kit.moment import from_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from eventsourcing_kit.event import Event

__all__ = ["Details", "quick_moment"]

_ABSENT: Final = object()
_AT_ONCE: Final = 256  # fewer tuples than make the garbage collector look at all of them, at a tenth of the time
_PLAIN: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", flags=re.ASCII)
_STAMPS: Final = ("metaData.time", "metadata.time")


class Details:
    """`places` are JMESPaths into a detail."""

    def __init__(self, places: Iterable[str] = ()) -> None:
        paths = tuple(places)
        self._searches = [_search(path) for path in paths]
        self._values = _reader((*_STAMPS, *paths))

    def of(self, events: Sequence[Event]) -> list[list[Any]]:
        """Of each event its moment in nanoseconds (None where it can not be read), its detail as JSON text, and the
        value at each place (None where there is none): a column for each of these.

        Raises zlib.error where a detail does not unpack, and InvalidOption where a JMESPath does not fit it.
        """
        columns: list[list[Any]] = [[] for _ in range(2 + len(self._searches))]
        for at in range(0, len(events), _AT_ONCE):
            for column, more in zip(columns, self._some(events[at : at + _AT_ONCE]), strict=True):
                column.extend(more)
        return columns

    def _some(self, events: Sequence[Event]) -> Iterable[Sequence[Any]]:
        if self._values is not None:
            try:
                return self._quickly(events, self._values)
            except UNREADABLE:  # of one of them
                pass
        return zip(*map(self._slowly, events), strict=True)

    def _quickly(self, events: Sequence[Event], values: Callable[[str], tuple[Any, ...]]) -> list[Sequence[Any]]:
        texts = [packed if isinstance(packed := event.packed_detail, str) else event.detail_json for event in events]
        stamps, others, *chosen = zip(*map(values, texts), strict=True)
        if not all(map(_is_text, stamps)):
            known = (other if stamp is _ABSENT else stamp for stamp, other in zip(stamps, others, strict=True))
            stamps = tuple(
                event.time if stamp is None or stamp is _ABSENT else stamp
                for event, stamp in zip(events, known, strict=True)
            )
        return [[*map(quick_moment, stamps)], [*map(on_one_line, texts)], *chosen]

    def _slowly(self, event: Event) -> tuple[Any, ...]:
        try:
            detail = decode_json(event.detail_json) if self._searches else None
        except (ValueError, RecursionError, msgspec.MsgspecError):  # no JSON, so it has no such places
            detail = None
        return (moment_or_none(event), detail_line(event), *(search(detail) for search in self._searches))


def quick_moment(text: str) -> int:
    """`from_rfc3339` for many moments that share their minutes, at a quarter of its price."""
    length = len(text)
    if 22 <= length <= 30 and text[19] == "." and text[-1] == "Z":
        digits = text[17:19] + text[20:-1]  # of the second and its fraction
        if digits < "6" and digits.isascii() and digits.isdigit():
            return _minute(text[:17]) + int(digits) * _POWERS[length]
    return from_rfc3339(text)


_POWERS: Final[tuple[int, ...]] = tuple(10 ** max(0, 30 - length) for length in range(31))


@lru_cache(maxsize=4_096)
def _minute(text: str) -> int:
    return from_rfc3339(f"{text}00Z")


def _search(path: str) -> Callable[[Any], Any]:
    if _PLAIN.fullmatch(path):
        return partial(_walk, path.split("."))
    import jmespath  # 20 ms that only a path with more than names in it needs

    try:
        compiled = jmespath.compile(path)
    except jmespath.exceptions.JMESPathError:
        raise InvalidOption("columns", found=path, expected="a JMESPath into an event's detail") from None

    def search(detail: Any) -> Any:
        try:
            return compiled.search(detail)
        except jmespath.exceptions.JMESPathTypeError as error:
            if error.actual_type == "null":  # a function over what this event does not have
                return None
            expected = f"a JMESPath that fits each detail; one gives {error.function_name}() a {error.actual_type}"
            raise InvalidOption("columns", found=path, expected=expected) from None
        except jmespath.exceptions.JMESPathError as error:
            expected = f"a JMESPath that fits each detail; one is a {type(error).__name__}"
            raise InvalidOption("columns", found=path, expected=expected) from None

    return search


def _walk(names: Iterable[str], value: Any) -> Any:
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _reader(paths: tuple[str, ...]) -> Callable[[str], tuple[Any, ...]] | None:
    """A function from a detail's JSON to the values at these paths; None where they are no tree of plain names.

    It raises a MsgspecError where something on the way to a place is no object.
    """
    tree: dict[str, Any] = {}
    for place, path in enumerate(paths):
        if not _PLAIN.fullmatch(path) or (path in _STAMPS and place >= len(_STAMPS)):
            return None
        *inner, last = path.split(".")
        node = tree
        for name in inner:
            node = node.setdefault(name, {})
            if node is None:  # a path ends in the middle of another one
                return None
        if node.setdefault(last, None) is not None:
            return None
    ways: dict[str, str] = {}
    decode = msgspec.json.Decoder(_struct(tree, ways)).decode
    values = attrgetter(*(ways[path] for path in paths))  # of more than one, so it answers a tuple
    return lambda text: values(decode(text))


def _struct(tree: dict[str, Any], ways: dict[str, str], path: str = "", way: str = "") -> type[msgspec.Struct]:
    """A record of the names in `tree`, whose fields have numbers; `ways` gets the way to the place at each path."""
    fields: list[tuple[str, Any, Any]] = []
    names = {}
    for number, (name, inside) in enumerate(tree.items()):
        field = f"f{number}"
        names[field] = name
        ways[path + name] = way + field
        if inside is None:
            fields.append((field, Any, None))
        else:
            inner = _struct(inside, ways, f"{path}{name}.", f"{way}{field}.")
            # Where there is no such object. A time is then not None, which an object without a time has.
            nothing = inner(f0=_ABSENT) if f"{path}{name}.time" in _STAMPS else inner()
            fields.append((field, inner, msgspec.field(default_factory=partial(_same, nothing))))
    return msgspec.defstruct("Places", fields, rename=names, frozen=True, gc=False)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _same(record: msgspec.Struct) -> msgspec.Struct:
    return record
