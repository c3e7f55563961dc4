"""Patches between JSON documents: what they make of one is exactly the other, types included."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.patches import (
    ABSENT,
    Alteration,
    alterations,
    apply_patch,
    at_pointer,
    check_pointer,
    make_patch,
    parents,
    same,
)

names = st.sampled_from(["a", "b", "a/b", "~", "", "0", "-"])
leaves = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from([1.0, 0.0, -0.0, 2**70, "", "1", "true"])
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=3), max_leaves=12
)


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@given(documents, documents)
def test_a_patch_makes_the_one_of_the_other(before: Any, after: Any) -> None:
    kept = text(before)
    patch = make_patch(before, after)
    assert text(apply_patch(before, patch)) == text(after)
    assert text(before) == kept
    assert bool(patch) == (text(before) != text(after))


@given(documents, documents)
def test_alterations_know_what_stood_there(before: Any, after: Any) -> None:
    document = before
    for each, operation in zip(alterations(before, make_patch(before, after)), make_patch(before, after), strict=True):
        if each.op in ("replace", "remove"):
            assert text(each.old) == text(at_pointer(document, each.path))
        document = apply_patch(document, [operation])
        if each.op != "remove" and not each.path.endswith("/-"):
            assert text(each.new) == text(at_pointer(document, each.path))
    assert text(document) == text(after)


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, False), (1, 1.0), (None, ABSENT), ([1], [True]), ({"a": 1}, {"a": 1.0})]
)
def test_what_python_takes_for_equal_is_not_the_same_json(one: Any, other: Any) -> None:
    assert not same(one, other)
    if other is not ABSENT:
        assert make_patch({"x": one}, {"x": other}) != []


def test_the_order_of_members_is_no_change_and_an_item_put_in_front_is_one_operation() -> None:
    assert make_patch({"a": 1, "b": 2}, {"b": 2, "a": 1}) == []
    assert make_patch({"x": [{"n": 1}, {"n": 2}]}, {"x": [{"n": 0}, {"n": 1}, {"n": 2}]}) == [
        {"op": "add", "path": "/x/0", "value": {"n": 0}}
    ]


def test_what_is_the_same_costs_nothing_to_look_past() -> None:
    long = list(range(100_000))
    assert make_patch({"x": long}, {"x": [*long, "last"]}) == [{"op": "add", "path": "/x/100000", "value": "last"}]


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", {"a": [10, {"b/c": 1, "~": 2}], "": 3}),
        ("/a/1/b~1c", 1),
        ("/a/1/~0", 2),
        ("/", 3),
        ("/a/0", 10),
        ("/a/2", ABSENT),
        ("/a/01", ABSENT),
        (f"/a/{'9' * 5_000}", ABSENT),
        ("/a/-", ABSENT),
        ("/a/0/x", ABSENT),
        ("/x", ABSENT),
    ],
)
def test_a_pointer_reaches_what_rfc_6901_says(pointer: str, value: Any) -> None:
    assert at_pointer({"a": [10, {"b/c": 1, "~": 2}], "": 3}, pointer) == value


def test_a_pointer_that_is_none_is_refused_with_an_example() -> None:
    for pointer in ("a", "/~2", "a/b"):
        with pytest.raises(InvalidOption, match="expected a JSON Pointer, such as '/lines/0/price'"):
            check_pointer(pointer)


def test_a_patch_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidOption, match="the state that it was made from"):
        apply_patch({}, [{"op": "remove", "path": "/a"}])


def test_the_places_above_a_place() -> None:
    assert parents("/a/b") == ["/a/b", "/a", ""]
    assert parents("") == [""]


def test_absent_is_no_null() -> None:
    assert repr(ABSENT) == "ABSENT"
    assert not ABSENT
    assert list(alterations({"a": 1}, [{"op": "add", "path": "/b", "value": None}])) == [
        Alteration("add", "/b", None, ABSENT, None)
    ]
