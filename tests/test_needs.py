"""Only what is certain is said of a function: that it does nothing with an argument but ask for these attributes."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit.needs import asks_only

if TYPE_CHECKING:
    from collections.abc import Callable

ALLOWED = frozenset({"data", "type", "moment"})
KEPT: list[Any] = []


def plain(state: Any, event: Any) -> Any:
    return state + event.data["weight"]


def several(state: Any, event: Any) -> Any:
    weight = event.data["weight"] if event.type == "Weighed" else 0
    for _ in range(2):
        state = max(state, weight, event.data.get("least", 0))
    return state


def calls_a_method_of_an_attribute(state: Any, event: Any) -> Any:
    return state + event.data.get("weight", len(event.moment.isoformat()))


def does_not_look(state: Any, event: Any) -> Any:
    return state


def two_loads(state: Any, event: Any) -> Any:
    return [state, event.data]


@pytest.mark.parametrize("function", [plain, several, calls_a_method_of_an_attribute, does_not_look, two_loads])
def test_a_function_that_only_asks_is_recognised(function: Callable[..., Any]) -> None:
    assert asks_only(function, 1, ALLOWED)


def another_attribute(state: Any, event: Any) -> Any:
    return event.source


def hands_it_on(state: Any, event: Any) -> Any:
    return plain(state, event)


def gives_it_back(state: Any, event: Any) -> Any:
    return event


def keeps_it(state: Any, event: Any) -> Any:
    KEPT.append(event)
    return state


def keeps_it_in_a_list(state: Any, event: Any) -> Any:
    return [*state, event]


def renames_it(state: Any, event: Any) -> Any:
    other = event
    return other.source


def binds_it_again(state: Any, event: Any) -> Any:
    event = state
    return event.data


def encloses_it(state: Any, event: Any) -> Any:
    return lambda: event.data


def encloses_it_in_a_comprehension(state: Any, event: Any) -> Any:
    return [event.source for _ in state]


def compares_it(state: Any, event: Any) -> Any:
    return event == state


def by_name(state: Any, event: Any) -> Any:
    return getattr(event, "source")  # noqa: B009 - that it is asked for in this way is what is tested


def looks_at_its_variables(state: Any, event: Any) -> Any:
    return locals()["event"]


def looks_at_its_frame(state: Any, event: Any) -> Any:
    return sys._getframe().f_locals


def matches_it(state: Any, event: Any) -> Any:
    match event:
        case int():
            return 1
    return state


def by_arguments(*arguments: Any) -> Any:
    return arguments[1].source


def deletes_it(state: Any, event: Any) -> Any:
    del event
    return state


def sets_on_it(state: Any, event: Any) -> Any:
    event.data = state
    return state


def assigns_inside(state: Any, event: Any) -> Any:
    return (other := event) and other.source


@functools.wraps(plain)
def wrapped(state: Any, event: Any) -> Any:
    return plain(state, event)


class Callee:
    def __call__(self, state: Any, event: Any) -> Any:
        return state


@pytest.mark.parametrize(
    "function",
    [
        another_attribute,
        hands_it_on,
        gives_it_back,
        keeps_it,
        keeps_it_in_a_list,
        renames_it,
        binds_it_again,
        encloses_it,
        encloses_it_in_a_comprehension,
        compares_it,
        by_name,
        looks_at_its_variables,
        looks_at_its_frame,
        matches_it,
        by_arguments,
        deletes_it,
        sets_on_it,
        assigns_inside,
        wrapped,
        functools.partial(plain),
        Callee(),
        max,
    ],
)
def test_of_any_other_nothing_is_said(function: Callable[..., Any]) -> None:
    assert not asks_only(function, 1, ALLOWED)
