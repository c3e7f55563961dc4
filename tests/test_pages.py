from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Event, Projection, bisect, blame, diff, history, open_store, parse, revisions
from eventsourcing_kit.inert import visible
from eventsourcing_kit.testing import Clock, envelope
from tests.browser import chromium, opened
from tests.hostile import HOSTILE, Elements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.stores.base import BaseStore


@dataclass(frozen=True)
class Account:
    balance: int = 0
    note: str = ""


accounts = Projection("accounts", initial=Account)


@accounts.on("Paid")
def paid(account: Account, event: Event) -> Account:
    return replace(account, balance=account.balance + event.data["amount"])


@accounts.on("Noted")
def noted(account: Account, event: Event) -> Account:
    return replace(account, note=event.data["text"])


@pytest.fixture
def store() -> Iterator[BaseStore]:
    """Three payments and a note between them; the last payment is too much."""
    with open_store("sqlite://") as store:
        for hour, amount in ((8, 30), (9, None), (10, 12), (11, -50)):
            type_, text = ("Noted", "hello") if amount is None else ("Paid", None)
            sent = envelope(type_, time=f"2026-03-01T{hour:02}:00:00Z", id=f"id-{hour}", amount=amount, text=text)
            store.append(parse(sent))
        yield store


def shown(answer: Any) -> str:
    return Elements(answer._repr_html_()).shown


def test_a_history_shows_each_event_with_what_it_changed_and_the_last_state(store: BaseStore) -> None:
    page = shown(history(accounts, store, "order-17"))
    assert page.startswith("History of 'order-17' by projection 'accounts'")
    assert '22026-03-01 09:00:00ZNotedid-9/note "" → "hello"' in page
    assert page.endswith('The state after event 4:{\n  "balance": -8,\n  "note": "hello"\n}')


def test_a_long_history_shows_the_first_fifty_events_and_says_so(store: BaseStore) -> None:
    store.append_many(parse(envelope("Paid", amount=1, time=f"2026-03-02T08:{n:02}:00Z")) for n in range(60))
    html = history(accounts, store, "order-17")._repr_html_()
    assert html.count("<tr>") == 1 + 50
    assert "… and more" in html
    assert "The state after event 50:" in html


def test_a_history_that_can_not_go_on_ends_with_the_reason(store: BaseStore) -> None:
    store.append(parse(envelope("Paid", time="2026-03-02T08:00:00Z", id="poison")))
    page = shown(history(accounts, store, "order-17"))
    assert "It ends before event 5 'Paid' at '2026-03-02T08:00:00.000Z#Paid', id 'poison': KeyError" in page
    assert "The state after event 4:" in page
    assert "No events" in shown(history(accounts, store, "nobody"))


def test_a_diff_shows_each_changed_place_with_the_event_that_touched_it_last(store: BaseStore) -> None:
    answer = diff(accounts, store, "order-17", "event:1", "event:3")
    page = shown(answer)
    assert '/note "" → "hello"22026-03-01 09:00:00ZNotedid-9' in page
    assert "/balance 30 → 4232026-03-01 10:00:00ZPaidid-10" in page
    assert shown(diff(accounts, store, "order-17", "event:3", "event:3")).endswith("Nothing changed")


def test_a_blame_shows_the_last_change_first(store: BaseStore) -> None:
    page = shown(blame(accounts, store, "order-17", "/balance"))
    assert page.index("id-11/balance 42 → -8") < page.index("id-10/balance 30 → 42") < page.index("id-8")
    assert "No event has set it" in shown(blame(accounts, store, "order-17", "/nothing"))


def test_a_bisection_shows_the_event_its_change_and_both_states(store: BaseStore) -> None:
    page = shown(bisect(accounts, store, "order-17", "balance >= `0`"))
    assert "the first event after which the check fails" in page
    assert "idid-11" in page
    assert "/balance 42 → -8" in page
    assert page.index('"balance": 42') < page.index('"balance": -8')
    flips = shown(
        bisect(accounts, store, "order-17", lambda account: account.balance in (0, 42), flips=True, bad="event:4")
    )
    assert "Every event after which the check says something else" in flips
    assert "id-8fails" in flips
    assert "id-10passes" in flips


def test_revisions_show_what_came_in_late_and_what_that_changed() -> None:
    with open_store("sqlite://", clock=(clock := Clock("2026-03-01T08:00:01Z"))) as store:
        store.append(parse(envelope("Paid", amount=30, time="2026-03-01T08:00:00Z")))
        clock.set("2026-03-03T08:00:00Z")
        store.append(parse(envelope("Paid", amount=12, time="2026-03-01T09:00:00Z", id="late")))
        page = shown(revisions(accounts, store, "order-17", at="2026-03-02", gap=timedelta(minutes=1)))
    assert "as it was known then" in page
    assert "2026-03-03 08:00:00Z2/balance 30 → 422026-03-01T09:00:00.000Z#Paid, id late" in page
    assert page.endswith('The state as last known:{\n  "balance": 42,\n  "note": ""\n}')


ELEMENTS = {
    *("div", "style", "p", "table", "thead", "tbody", "tr", "th", "td", "pre", "ul", "li", "del", "ins"),
    *("svg", "line", "rect", "title", "text", "span"),
}


def hostile_pages() -> Iterator[str]:
    for text in HOSTILE:
        mirror = Projection(text[:100] or "x", initial=dict[str, str])

        @mirror.on()
        def keep(state: dict[str, str], event: Event) -> dict[str, str]:
            return {event.data["text"]: event.data["text"], "size": str(len(state))}

        with open_store("sqlite://") as store:
            stream = text[:100] or "x"
            for second in range(3):
                sent = envelope(stream, stream=stream, time=f"2026-03-01T08:00:0{second}Z", text=text + "y" * second)
                store.append(parse(sent))
            yield history(mirror, store, stream)._repr_html_()
            yield diff(mirror, store, stream, "event:1", "event:3")._repr_html_()
            yield blame(mirror, store, stream, "")._repr_html_()
            yield bisect(mirror, store, stream, "length(@) < `2`", flips=True)._repr_html_()
            yield revisions(mirror, store, stream, at="2026-03-02")._repr_html_()


def test_hostile_text_is_shown_and_obeyed_by_nobody() -> None:
    pages = list(hostile_pages())
    for page in pages:
        found = Elements(page)
        assert found.open == []
        assert found.names <= ELEMENTS
        assert found.shown.replace("\n", "").isprintable()
        assert not {"{", "}", "`"} & {*page.partition("</style>")[2]}
    assert visible(HOSTILE[0]) in Elements(pages[0]).shown
    with chromium() as browser, opened(browser, "".join(pages)) as (tab, asked):
        assert tab.evaluate("window.hacked") is None
        assert asked == []
