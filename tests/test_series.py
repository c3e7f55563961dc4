from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Event, Projection, history, open_store, parse
from eventsourcing_kit.errors import FoldFailed, InvalidOption
from eventsourcing_kit.questions.series import numeric_places
from eventsourcing_kit.testing import envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.stores.base import BaseStore

totals = Projection("totals", initial=dict[str, Any])


@totals.on("Counted")
def counted(state: dict[str, Any], event: Event) -> dict[str, Any]:
    amount = event.data["amount"]
    return {"sum": state.get("sum", 0) + amount, "last": {"amount": amount}, "size": "big" if amount > 5 else "small"}


@totals.on("Seen")
def seen(state: dict[str, Any], event: Event) -> dict[str, Any]:
    return state


amounts = Projection("amounts", initial=int)


@amounts.on("Counted")
def amount_of(state: int, event: Event) -> int:
    return int(event.data["amount"])


@pytest.fixture
def store() -> Iterator[BaseStore]:
    with open_store("sqlite://") as store:
        yield store


def fill(store: BaseStore, *amounts: int | None) -> None:
    """One a minute; None is an event that changes nothing."""
    for minute, amount in enumerate(amounts):
        time = f"2026-03-01T{8 + minute // 60:02}:{minute % 60:02}:00Z"
        store.append(parse(envelope("Seen" if amount is None else "Counted", amount=amount, time=time)))


def drawn(chart: Any) -> list[dict[str, Any]]:
    (values,) = chart.to_dict()["datasets"].values()
    return list(values)


def steps(chart: Any) -> list[tuple[str, Any, str]]:
    return [(row["time"][11:16], row["value"], row["what"]) for row in drawn(chart)]


def test_a_place_over_time_has_a_point_where_it_changes_and_one_at_the_last_event(store: BaseStore) -> None:
    fill(store, 3, None, 4, 0, None)
    chart = history(totals, store, "order-17").plot("sum")
    assert steps(chart) == [("08:00", 3, "Counted"), ("08:02", 7, "Counted"), ("08:04", 7, "Seen")]
    described = chart.to_dict()
    assert described["title"]["text"] == "sum of order-17 by projection totals"
    assert described["mark"]["interpolate"] == "step-after"
    assert steps(history(totals, store, "order-17").plot("last.amount"))[-1] == ("08:04", 0, "Seen")


def test_a_place_that_is_no_number_is_drawn_as_its_values(store: BaseStore) -> None:
    fill(store, 3, 9, 8, 1)
    assert steps(history(totals, store, "order-17").plot("size")) == [
        ("08:00", "small", "Counted"),
        ("08:01", "big", "Counted"),
        ("08:03", "small", "Counted"),
    ]


def test_a_state_that_is_a_number_needs_no_path(store: BaseStore) -> None:
    fill(store, 5, 7)
    assert steps(history(amounts, store, "order-17").plot()) == [("08:00", 5, "Counted"), ("08:01", 7, "Counted")]


def test_a_span_is_drawn_with_its_true_states(store: BaseStore) -> None:
    fill(store, 1, 2, 4, 8)
    assert steps(history(totals, store, "order-17", start="event:2", at="event:3").plot("sum")) == [
        ("08:01", 3, "Counted"),
        ("08:02", 7, "Counted"),
    ]


def test_many_steps_are_thinned_and_the_extremes_stay_and_it_is_said(store: BaseStore) -> None:
    for n in range(6_000):
        time = f"2026-03-01T{8 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z"
        store.append(parse(envelope("Counted", amount=9_999 if n == 2_345 else n % 7, time=time)))
    chart = history(amounts, store, "order-17").plot()
    values = [row["value"] for row in drawn(chart)]
    assert len(values) <= 2_000
    assert (values[0], max(values), min(values), values[-1]) == (0, 9_999, 0, 5_999 % 7)
    assert "6,000 values" in chart.to_dict()["title"]["subtitle"]
    assert f"{len(values):,} of them shown" in chart.to_dict()["title"]["subtitle"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("summ", "path: found 'summ', expected a JMESPath to a place of the state, whose members are 'last', 'size', "),
        ("sum[", "path: found 'sum[', expected a JMESPath, such as 'totals.sum'"),
        ("length(sum)", "path: found 'length(sum)', expected a JMESPath to a place"),
        (None, "path: found 'none', expected the JMESPath of one of those in the last state: 'sum', 'last.amount'"),
    ],
)
def test_a_path_to_nothing_is_an_error_that_says_what_there_is(
    store: BaseStore, path: str | None, message: str
) -> None:
    fill(store, 3, 4)
    with pytest.raises(InvalidOption) as caught:
        history(totals, store, "order-17").plot(path)
    assert str(caught.value).startswith(message)


def test_without_events_there_is_nothing_to_draw(store: BaseStore) -> None:
    with pytest.raises(InvalidOption, match="which has no members"):
        history(totals, store, "order-17").plot("sum")
    with pytest.raises(InvalidOption, match="has no number"):
        history(amounts, store, "order-17").plot()


def test_where_the_projection_fails_the_chart_up_to_there_is_in_the_error(store: BaseStore) -> None:
    fill(store, 3, 4)
    store.append(parse(envelope("Counted", time="2026-03-01T10:00:00Z")))  # without an amount
    with pytest.raises(FoldFailed) as caught:
        history(totals, store, "order-17").plot("sum")
    assert steps(caught.value.answer) == [("08:00", 3, "Counted"), ("08:01", 7, "Counted")]


def test_without_altair_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, store: BaseStore) -> None:
    fill(store, 3)
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(InvalidOption, match=r"pip install 'eventsourcing-kit\[notebook\]'"):
        history(totals, store, "order-17").plot("sum")


def test_numbers_are_found_wherever_they_lie() -> None:
    document = {"a": 1, "b": {"c": 2.5, "odd name": [3, {"d": 4}, [5]]}, "e": True, "f": None, "g": "7", 'q"': 8}
    assert list(numeric_places(document)) == [
        *("a", "b.c", 'b."odd name"[0]', 'b."odd name"[1].d', 'b."odd name"[2][0]', '"q\\""')
    ]
    assert list(numeric_places([{"x": 1}, 2])) == ["[0].x", "[1]"]
