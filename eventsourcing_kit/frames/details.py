"""What a table shows of the inside of events: moment, detail, and values at chosen places, with one decoding of each.

A table of 100,000 events reads as many details, so what is not asked for is passed over: msgspec makes a record of the
chosen places alone, in a fifth of the time that the whole detail would take. What is done for each event is done by
`map` over a block of them, without a step of Python's own.
"""

from __future__ import annotations

import re
import zlib
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import msgspec

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.event import UNREADABLE, Event, decode_json, detail_line, moment_or_none, on_one_line
from eventsourcing_kit.frames.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Values = Callable[[Iterable[str]], list[Iterable[Any]]]

__all__ = ["Details"]

_ABSENT: Final = object()
_PLAIN: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", flags=re.ASCII)
_STAMPS: Final = ("metaData.time", "metadata.time")


class Details:
    """`places` are JMESPaths into a detail."""

    def __init__(self, places: Iterable[str] = ()) -> None:
        paths = tuple(places)
        self._searches = [_search(path) for path in paths]
        self._values = _reader((*_STAMPS, *paths))

    def of(self, details: Sequence[str | bytes], times: Sequence[str]) -> list[Sequence[Any]]:
        """Of events with these details and times of their envelopes: the moment of each (None where it can not be
        read), its detail as JSON text, and the value at each place (None where there is none); a column for each of
        these, the first one as `Moments`.

        Raises zlib.error where a detail does not unpack, and InvalidOption where a JMESPath does not fit it.
        """
        if self._values is not None:
            try:
                return self._quickly(details, times, self._values)
            except UNREADABLE:  # of one of them
                pass
        moments, *others = zip(*map(self._slowly, details, times), strict=True)
        return [Moments(moments), *others]

    def _quickly(self, details: Sequence[str | bytes], times: Sequence[str], values: Values) -> list[Sequence[Any]]:
        texts = details if _are_texts(details) else [*map(_unpacked, details)]
        first, others, *chosen = values(texts)
        stamps = [*first]
        if not _are_texts(stamps):
            known = (other if stamp is _ABSENT else stamp for stamp, other in zip(stamps, others, strict=True))
            stamps = [time if at is None or at is _ABSENT else at for at, time in zip(known, times, strict=True)]
            if not _are_texts(stamps):
                raise TypeError("a time is no text")
        whole = "".join(texts)
        if "\n" in whole or "\r" in whole:
            texts = [*map(on_one_line, texts)]
        return [Moments(stamps), texts, *map(list, chosen)]

    def _slowly(self, packed: str | bytes, time: str) -> tuple[Any, ...]:
        event = Event(stream="", key="", type="", id="", source="", time=time, packed_detail=packed)
        try:
            detail = decode_json(event.detail_json) if self._searches else None
        except (ValueError, RecursionError, msgspec.MsgspecError):  # no JSON, so it has no such places
            detail = None
        return (moment_or_none(event), detail_line(event), *(search(detail) for search in self._searches))


def _unpacked(detail: str | bytes) -> str:
    return detail if isinstance(detail, str) else zlib.decompress(detail).decode()


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


def _reader(paths: tuple[str, ...]) -> Values | None:
    """A function from details as JSON to the values at each path; None where these are no tree of plain names.

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
    getters = [attrgetter(ways[path]) for path in paths]

    def values(texts: Iterable[str]) -> list[Iterable[Any]]:
        records = [*map(decode, texts)]
        return [map(getter, records) for getter in getters]

    return values


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
            fields.append((field, inner, nothing))
    return msgspec.defstruct("Places", fields, rename=names, frozen=True, gc=False)


def _are_texts(values: Iterable[Any]) -> TypeGuard[Sequence[str]]:
    return {*map(type, values)} == {str}
