from __future__ import annotations

import html as stdlib_html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Projection, open_store, rebuild
from eventsourcing_kit.envelope import parse
from eventsourcing_kit.errors import EventRefused
from eventsourcing_kit.frames import Column, Tabular, html
from eventsourcing_kit.inert import visible
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import Clock, event
from tests.browser import chromium, opened
from tests.hostile import HOSTILE, Elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from eventsourcing_kit.stores.base import BaseStore

ELEMENTS = {
    *("div", "style", "p", "span", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre"),
    *("svg", "line", "rect", "title", "text"),
}
ATTRIBUTES = {
    *("class", "style", "v-pre", "ng-non-bindable", "viewbox", "width", "height", "role", "aria-label"),
    *("x", "y", "x1", "x2", "y1", "y2", "fill", "fill-opacity", "stroke", "stroke-opacity", "font-size", "text-anchor"),
}
CLASSES = {"eskit", "mathjax_ignore", "tex2jax_ignore", "eskit-number", "eskit-wide", "eskit-null", "eskit-mark"}


@dataclass
class State:
    texts: list[str] = field(default_factory=list)


remembered = Projection("remembered", initial=State)


@remembered.on()
def remember(state: State, event: Any) -> State:
    return State([*state.texts, *(text for text in event.data.values() if isinstance(text, str))])


def hostile_event(text: str, number: int) -> Any:
    return parse(
        {
            "id": text,
            "detail-type": text,
            "source": text,
            "time": "2026-03-01T11:00:00Z",
            "account": text,
            "region": text,
            "replay-name": text,
            "detail": {
                "metaData": {
                    "time": f"2026-03-01T11:00:{number:02}Z",
                    "correlationId": text,
                    "causationId": text,
                },
                "data": {"primaryKey": text, text: text, "lone": "\ud800"},
            },
        }
    )


def pages() -> Iterator[str]:
    """Each of the hostile texts in every place, in everything that a notebook shows."""
    with open_store("sqlite://", clock=Clock()) as store:
        stored = 0
        for number, text in enumerate(HOSTILE):
            for shorter in (text, text[:100]):
                try:
                    stored += store.append(hostile_event(shorter, number)) == "stored"
                except EventRefused:  # too long for a key, or not to be stored: shown nowhere
                    continue
        assert stored >= len(HOSTILE)
        yield store._repr_html_()
        events = store.events(columns={text[:100]: "data.lone" for text in HOSTILE})
        yield events._repr_html_()
        for stream in store.streams():
            yield store.events(stream)._repr_html_()
            yield rebuild(remembered, store, stream, clock=Clock())._repr_html_()
    yield html.block(html.facts([(text, text) for text in HOSTILE]), *map(html.line, HOSTILE), *map(html.code, HOSTILE))
    yield html.answer((Column("moment", "moment"), Column("type")), [(1, text) for text in HOSTILE], caption=HOSTILE[0])


PAGES = tuple(pages())


@pytest.mark.parametrize("page", PAGES, ids=range(len(PAGES)))
def test_hostile_text_in_every_field_makes_no_element_and_no_attribute(page: str) -> None:
    found = Elements(page)
    assert found.open == []
    assert found.comments == []
    assert found.names <= ELEMENTS
    assert found.attributes <= ATTRIBUTES
    assert found.classes <= CLASSES
    assert found.shown.replace("\n", "").isprintable()
    outside = page.partition("</style>")[2]
    assert not {"{", "}", "`"} & {*outside}
    assert "://" not in page.replace("sqlite://", "").replace("&quot;http://127.0.0.1/", "")


def test_hostile_text_is_there_to_be_read() -> None:
    shown = Elements(PAGES[1]).shown
    for text in HOSTILE[:-2]:
        assert visible(text[:90]) in shown


def test_a_browser_runs_nothing_of_it_and_asks_for_nothing() -> None:
    with chromium() as browser, opened(browser, "".join(PAGES)) as (tab, asked):
        assert tab.evaluate("window.hacked") is None
        assert tab.locator("script, img, a, iframe, [onerror], [onload]").count() == 0
        assert tab.locator("div.eskit").count() == len(PAGES)
        assert asked == []


def test_in_jupyter_text_stands_at_the_left_and_numbers_at_the_right() -> None:
    jupyter = ":not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon td{text-align:right}"
    table = html.answer((Column("number", "int"), Column("type")), [(1, "Paid")], caption="")
    page = f"<style>{jupyter}</style><div class='jp-RenderedHTMLCommon'>{table}</div>"
    with chromium() as browser, opened(browser, page) as (tab, _):
        aligned = "cells => [...new Set(cells.map(cell => getComputedStyle(cell).textAlign))]"
        assert tab.locator("td:not(.eskit-number)").evaluate_all(aligned) == ["left"]
        assert tab.locator("td.eskit-number").evaluate_all(aligned) == ["right"]


def test_the_browser_would_tell() -> None:
    with (
        chromium() as browser,
        opened(browser, "<img src='http://127.0.0.1:9/x' onerror='hacked = 1'>") as (tab, asked),
    ):
        tab.wait_for_function("window.hacked === 1")
        assert asked == ["http://127.0.0.1:9/x"]


class Numbers(Tabular):
    """Rows without end: whoever counts them never comes back."""

    def _columns(self) -> tuple[Column, ...]:
        return Column("number", "int"), Column("nothing")

    def _rows(self) -> Iterable[tuple[Any, ...]]:
        number = 0
        while True:
            number += 1
            yield number, None


class Counted(Numbers):
    def __len__(self) -> int:
        return 1_050


def test_a_notebook_shows_fifty_rows_and_says_that_there_are_more() -> None:
    shown = Elements(Numbers()._repr_html_()).shown
    assert "484950Nothing" in shown
    assert shown.endswith("… and more")
    assert Elements(Counted()._repr_html_()).shown.endswith("… and 1,000 more")


def test_columns_without_any_value_are_named_below_the_table() -> None:
    shown = Elements(Numbers()._repr_html_()).shown
    assert "Nothing in: nothing" in shown


def test_events_are_a_strip_of_time_and_a_table() -> None:
    with open_store("sqlite://", clock=Clock()) as store:
        store.append_many(
            [
                event("OrderPlaced", time="2026-03-01T11:00:00.5Z", total=42),
                event("OrderPaid", time="2026-03-02T12:00:00Z", amount=42),
            ]
        )
        page = store.events("order-17", at="2026-04-01")._repr_html_()
    assert "<title>2026-03-01 11:00:00Z OrderPlaced</title>" in page
    assert page.count("<rect") == 2
    shown = Elements(page).shown
    assert "Events of stream 'order-17' in 'sqlite://', up to 2026-04-01T00:00:00.000000000Z" in shown
    assert "2026-03-01 11:00:00.5Z" in shown
    assert '"total":42' in shown
    assert "Nothing in: correlation_id, causation_id" in shown


def test_no_rows_are_said() -> None:
    with open_store("sqlite://") as store:
        shown = Elements(store.events()._repr_html_()).shown
    assert "moment" in shown
    assert shown.endswith("No rows")


@pytest.mark.parametrize(
    ("ns", "spelled"),
    [
        ("2026-03-01T11:00:00Z", "2026-03-01 11:00:00Z"),
        ("0001-01-01T00:00:00.000000001Z", "0001-01-01 00:00:00.000000001Z"),
    ],
)
def test_a_moment_is_shown_as_short_as_it_is_exact(ns: str, spelled: str) -> None:
    assert spelled in html.table((Column("moment", "moment"),), [(from_rfc3339(ns),)])


def test_a_store_says_where_it_is_and_some_of_its_streams(store: BaseStore) -> None:
    store.append_many(event("OrderPlaced", stream=f"order-{number:02}") for number in range(20))
    shown = Elements(store._repr_html_()).shown
    assert store.url in shown
    assert "for ever" in shown
    assert "streams20order-00" in shown
    store.append(event("OrderPlaced", stream="order-20"))
    shown = Elements(store._repr_html_()).shown
    assert "streams20 and more" in shown
    assert "order-20" not in shown


def test_a_store_that_is_not_there_is_shown_with_the_reason(tmp_path: Path, moto_url: str) -> None:
    for url in (f"sqlite:///{tmp_path}/none.db?retention_days=30", moto_url):
        with open_store(url) as store:
            shown = Elements(store._repr_html_()).shown
            assert "there is no store at" in shown
    with open_store("sqlite://?retention_days=30") as store:
        assert "for 30 days" in store._repr_html_()
    assert "closed" in Elements(store._repr_html_()).shown


def test_a_rebuilt_state_is_shown_with_what_it_is_worth() -> None:
    with open_store("sqlite://", clock=Clock()) as store:
        store.append(event("OrderPlaced", id="e-1", note="a gift"))
        answer = rebuild(remembered, store, "order-17", at="2026-03-02", known_at="2026-03-03", clock=Clock())
    assert repr(answer) == (
        "<Rebuilt remembered v1 of 'order-17' at 2026-03-02T00:00:00.000000000Z known at "
        "2026-03-03T00:00:00.000000000Z: 1 event, complete, state=State(texts=['order-17', 'a gift'])>"
    )
    shown = Elements(answer._repr_html_()).shown
    assert '"texts": [\n    "order-17",\n    "a gift"\n  ]' in shown
    assert "2026-03-01T11:03:27.000Z#OrderPlaced, id e-1" in shown


def test_a_state_that_json_can_not_say_is_shown_as_python_does() -> None:
    opaque: Projection[Any] = Projection("opaque", initial=lambda: {frozenset({1}): object})
    with open_store("sqlite://") as store:
        answer = rebuild(opaque, store, "order-17")
    assert "frozenset" in stdlib_html.unescape(answer._repr_html_())
    long: Projection[Any] = Projection("long", initial=lambda: "x" * 10_000)
    with open_store("sqlite://") as store:
        assert len(repr(rebuild(long, store, "order-17"))) < 700
