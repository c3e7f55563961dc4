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
    "Changed",
    "Patch",
    "apply_patch",
    "at_pointer",
    "changes",
    "check_pointer",
    "encode_json",
    "make_patch",
    "parents",
    "same",
    "unequal_middle",
]

Patch = list[dict[str, Any]]  # operations as RFC 6902 has them


class Absent:
    """Stands for no value at all, which null is not. There is one, `ABSENT`, and it is false."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


class Changed(NamedTuple):
    """An operation of a patch with the values on its two sides, as JSON text; None where there is none."""

    op: str
    path: str
    source: str | None  # the `from` of a move
    old: str | None
    new: str | None


def make_patch(before: Any, after: Any) -> Patch:
    """The operations that make `after` of `before`; none where they are the same."""
    from jsonpatch import JsonPatch

    if same(before, after):
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
        raise InvalidOption(
            "patch", found="an operation without its place", expected="the state it was made from"
        ) from None


def changes(document: Any, patch: Patch) -> Iterator[Changed]:
    """Each operation of `patch`, which has to fit `document`, with what it replaces. Neither of them is changed."""
    from jsonpatch import JsonPatch

    document = copy.deepcopy(document)
    for operation in patch:
        op, path = operation["op"], operation["path"]
        old = ABSENT if op in ("add", "move") else at_pointer(document, path)
        new = operation.get("value", ABSENT)
        yield Changed(op, path, operation.get("from"), encode_json(old) or None, encode_json(new) or None)
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
        elif isinstance(value, list) and _is_index(part) and int(part) < len(value):
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
_EQUAL: Final = None  # stands for items that are the same at the same place


def _without_equals(before: Any, after: Any) -> tuple[Any, Any]:
    """The two without what is the same in both, for which jsonpatch would take most of its time.

    Members go; of an array, whose places count, the items of a common beginning are blanked and a common end is cut.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = {
            name: _without_equals(value, after[name])
            for name, value in before.items()
            if name in after and not same(value, after[name])
        }
        gone = {name: value for name, value in before.items() if name not in after}
        come = {name: value for name, value in after.items() if name not in before}
        return ({name: pair[0] for name, pair in pairs.items()} | gone), (
            {name: pair[1] for name, pair in pairs.items()} | come
        )
    if isinstance(before, list) and isinstance(after, list):
        begin, end = unequal_middle(before, after)
        blank = [_EQUAL] * begin
        return blank + before[begin : len(before) - end], blank + after[begin : len(after) - end]
    return before, after


def unequal_middle(before: list[Any], after: list[Any]) -> tuple[int, int]:
    """How many items both arrays have in common at their beginnings, and then at their ends."""
    ours, theirs = [_encoded(item) for item in before], [_encoded(item) for item in after]
    most = min(len(ours), len(theirs))
    begin = next((place for place in range(most) if ours[place] != theirs[place]), most)
    most -= begin
    end = next((place for place in range(most) if ours[-1 - place] != theirs[-1 - place]), most)
    return begin, end


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")
