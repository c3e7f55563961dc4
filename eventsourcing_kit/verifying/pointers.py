"""Where two JSON documents differ, as JSON Pointers (RFC 6901)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["differing", "is_at", "without"]


def differing(before: bytes | None, after: bytes | None, *, coarse: bool = False) -> tuple[str, ...]:
    """The pointers at which two JSON texts differ, by type as well as by value; an object whose members have another
    order is one such place, and the whole document is "". None is no document.

    `coarse`: a list, or an object with other members, is one place: what differs there by chance differs elsewhere
    inside of it the next time.
    """
    if before is None or after is None:
        return () if before is after else ("",)
    return tuple(_differing(_loads(before), _loads(after), "", coarse=coarse))


def is_at(pointer: str, places: Collection[str]) -> bool:
    """Whether a pointer is one of the places, or lies below one."""
    return any(pointer == place or pointer.startswith(f"{place}/") for place in places)


def without(text: bytes, pointers: Collection[str]) -> bytes:
    """A JSON text with null for what stands at, or lies below, these pointers."""
    if not pointers:
        return text
    return json.dumps(_without(_loads(text), frozenset(pointers), "")).encode()


def _differing(before: Any, after: Any, pointer: str, *, coarse: bool) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict) and not (coarse and before.keys() != after.keys()):
        common = [name for name in before if name in after]
        for name in common:
            yield from _differing(before[name], after[name], _below(pointer, name), coarse=coarse)
        yield from (_below(pointer, name) for name in [*before, *after] if (name in before) != (name in after))
        if common != [name for name in after if name in before]:
            yield pointer
    elif isinstance(before, list) and isinstance(after, list) and not coarse:
        for place, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from _differing(one, other, _below(pointer, str(place)), coarse=coarse)
        for place in range(min(len(before), len(after)), max(len(before), len(after))):
            yield _below(pointer, str(place))
    elif type(before) is not type(after) or before != after:
        yield pointer


def _without(value: Any, pointers: frozenset[str], pointer: str) -> Any:
    if pointer in pointers:
        return None
    if isinstance(value, dict):
        return {name: _without(inner, pointers, _below(pointer, name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, pointers, _below(pointer, str(place))) for place, inner in enumerate(value)]
    return value


def _below(pointer: str, name: str) -> str:
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def _loads(text: bytes) -> Any:
    return json.loads(text, parse_float=_Lexeme)  # as it is written: 1e2 and 100.0 are other bytes


class _Lexeme(str):
    """A number with a fraction, as text of a kind of its own."""

    __slots__ = ()
