"""What changed between two JSON documents: RFC 6902 patches, and RFC 6901 pointers to single places.

Types count: 1, 1.0 and true are three values. The order of an object's members does not.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from eventsourcing_kit.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ABSENT",
    "Absent",
    "Alteration",
    "Patch",
    "alterations",
    "apply_patch",
    "at_pointer",
    "check_pointer",
    "encode_json",
    "make_patch",
    "make_patch_of_json",
    "parents",
    "same",
]

Patch = list[dict[str, Any]]  # operations as RFC 6902 has them


class Absent:
    """Stands for no value at all, which null is not. There is one, `ABSENT`, and it is false."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


def make_patch(before: Any, after: Any) -> Patch:
    """The operations that make `after` of `before`; none where they are the same."""
    return make_patch_of_json(msgspec.json.encode(before), msgspec.json.encode(after))


def make_patch_of_json(before: bytes, after: bytes) -> Patch:
    """As `make_patch`, of two JSON texts; only what differs in them is decoded."""
    from jsonpatch import JsonPatch

    if before == after:
        return []
    operations: Patch = JsonPatch.from_diff(*_without_equals(before, after)).patch
    return operations


def apply_patch(document: Any, patch: Patch) -> Any:
    """A new document: `document`, which stays as it is, with all operations of `patch`.

    Raises InvalidOption where an operation does not fit the document.
    """
    from jsonpatch import JsonPatch, JsonPatchException
    from jsonpointer import JsonPointerException

    try:
        return JsonPatch(patch).apply(document)
    except (JsonPatchException, JsonPointerException):
        expected = "the state that it was made from"
        raise InvalidOption("patch", found="an operation that does not fit", expected=expected) from None


class Alteration(NamedTuple):
    """One operation of a patch, with the value that stood at its place before it; ABSENT where there is none."""

    op: str
    path: str
    source: str | None  # of a move, where the value came from
    old: Any
    new: Any


def alterations(document: Any, patch: Patch) -> Iterator[Alteration]:
    """What each operation of `patch`, which has to fit, alters, one after another, from `document` on.

    Neither of the two is changed, and what is yielded holds nothing that later operations change.
    """
    from jsonpatch import JsonPatch

    document = copy.deepcopy(document)  # once: a copy for each operation would take longer than all else
    for operation in patch:
        op, path, source = operation["op"], operation["path"], operation.get("from")
        old = at_pointer(document, path) if op in ("remove", "replace") else ABSENT
        new = operation.get("value", ABSENT) if source is None else copy.deepcopy(at_pointer(document, source))
        yield Alteration(op, path, source, old, new)
        document = JsonPatch([copy.deepcopy(operation)]).apply(document, in_place=True)


def check_pointer(pointer: str) -> None:
    """Raises InvalidOption where `pointer` is no JSON Pointer (RFC 6901): "" for the whole, else "/a/0/b"."""
    from jsonpointer import JsonPointer, JsonPointerException

    try:
        JsonPointer(pointer)
    except JsonPointerException:
        expected = "a JSON Pointer, such as '/lines/0/price', or '' for the whole state"
        raise InvalidOption("pointer", found=pointer, expected=expected) from None


def at_pointer(document: Any, pointer: str) -> Any:
    """The value at a JSON Pointer, or ABSENT."""
    if not pointer:
        return document
    value = document
    for part in pointer[1:].split("/"):
        if isinstance(value, dict):
            value = value.get(part.replace("~1", "/").replace("~0", "~"), ABSENT)
        elif isinstance(value, list) and _is_index(part, value) and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


def parents(pointer: str) -> list[str]:
    """The pointer and all that lie above it, up to the whole document."""
    found = [pointer]
    while pointer:
        pointer = pointer.rpartition("/")[0]
        found.append(pointer)
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; no value at all is the same as no other."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return _encoded(one) == _encoded(other)


def encode_json(value: Any) -> str:
    """A value as JSON text, members in their own order; ABSENT as no text at all."""
    return "" if value is ABSENT else msgspec.json.encode(value).decode()


_encoded: Final = msgspec.json.Encoder(order="sorted").encode
_decode: Final = msgspec.json.decode
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_EQUAL: Final = None  # stands for items that are the same at the same place


def _without_equals(before: bytes, after: bytes) -> tuple[Any, Any]:
    """The two without what is the same text in both, for which jsonpatch would take most of its time.

    Members go; of an array, whose places count, the items of a common beginning are blanked and a common end is cut.
    """
    first = before[:1] + after[:1]
    if first == b"{{":
        return _without_equal_members(_members(before), _members(after))
    if first == b"[[":
        return _without_equal_items(_items(before), _items(after))
    return _decode(before), _decode(after)


def _without_equal_members(ours: dict[str, msgspec.Raw], theirs: dict[str, msgspec.Raw]) -> tuple[Any, Any]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name, value in ours.items():
        other = theirs.get(name)
        if other is None:
            before[name] = _decode(value)
        elif value != other:
            before[name], after[name] = _without_equals(bytes(value), bytes(other))
    for name, value in theirs.items():
        if name not in ours:
            after[name] = _decode(value)
    return before, after


def _without_equal_items(ours: list[msgspec.Raw], theirs: list[msgspec.Raw]) -> tuple[Any, Any]:
    most = min(len(ours), len(theirs))
    begin = next((place for place in range(most) if ours[place] != theirs[place]), most)
    most -= begin
    end = next((place for place in range(most) if ours[-1 - place] != theirs[-1 - place]), most)
    blank = [_EQUAL] * begin
    before, after = (map(_decode, items[begin : len(items) - end]) for items in (ours, theirs))
    return [*blank, *before], [*blank, *after]


def _is_index(part: str, items: list[Any]) -> bool:
    # No longer than the number of items: Python makes no int of more digits than some thousands.
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0") and len(part) <= len(str(len(items)))
