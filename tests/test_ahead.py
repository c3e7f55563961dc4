"""Many streams read one after another, the next ones on their way: the same answers, in order, and never too many."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Event, Projection, open_store, rebuild, rebuild_all
from eventsourcing_kit.errors import EventSourcingError, StoreUnavailable
from eventsourcing_kit.stores.ahead import IN_FLIGHT, Unanswered, in_flight
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from eventsourcing_kit.stores.pages import answer_with, page_of
from eventsourcing_kit.stores.reading import Window
from eventsourcing_kit.testing import Clock, event
from tests.counting import counting
from tests.servers import lossy_proxy
from tests.transports import TRANSPORTS, taught

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.stores.ahead import Awaited
    from eventsourcing_kit.stores.base import BaseStore
    from eventsourcing_kit.stores.pages import Ask

NAMES = [f"s-{number:02}" for number in range(40)]


@pytest.fixture(params=TRANSPORTS)
def table(dynamodb_url: str, request: pytest.FixtureRequest) -> Iterator[BaseStore]:
    with open_store(dynamodb_url + TRANSPORTS[request.param], clock=Clock("2026-03-01T12:00:00Z")) as store:
        store.create_table()
        store.append_many(
            event("Counted", stream=name, time=f"2026-03-01T1{number}:00:00Z", number=number)
            for place, name in enumerate(NAMES)
            for number in range(1 + place % 4)
        )
        store.append(event("Broken", stream="s-07", time="2026-03-01T09:00:00Z", note="canary"))
        assert isinstance(store, DynamoDBStore)
        store.page_size = 2
        yield taught(store)


@pytest.mark.parametrize(
    "question", [{}, {"at": "2026-03-01T11:00:00Z"}, {"start": "2026-03-01T11:00:00Z"}, {"at": "event:1"}]
)
def test_the_answers_are_those_of_one_rebuild_after_another(table: BaseStore, question: dict[str, Any]) -> None:
    failures: list[Any] = []
    found = rebuild_all(counting, table, streams=NAMES, failures=failures, **question)
    told: dict[str, object] = {each.stream: (each.state, each.events, each.warnings) for each in found}
    assert list(told) == [name for name in NAMES if name not in [stream for stream, _ in failures]]
    told |= {stream: str(error) for stream, error in failures}
    assert told == {name: one_alone(table, name, question) for name in NAMES}


def one_alone(table: BaseStore, name: str, question: dict[str, Any]) -> object:
    try:
        one = rebuild(counting, table, name, **question)
    except EventSourcingError as error:
        return str(error)
    return one.state, one.events, one.warnings


@pytest.mark.parametrize(("question", "each"), [({}, 1), ({"start": "2026-03-01T11:00:00Z"}, 2)])
def test_each_range_is_asked_for_once(
    table: BaseStore, dynamodb_endpoint: str, question: dict[str, Any], each: int
) -> None:
    with (
        lossy_proxy(dynamodb_endpoint) as proxy,
        open_store(f"{table.url.partition('?')[0]}?region=eu-west-1&endpoint_url={proxy.url}") as store,
    ):
        assert len(list(rebuild_all(counting, store, streams=NAMES[8:], **question))) == 32
    assert [operation for operation, _ in proxy.asked] == ["Query"] * 32 * each


def test_a_fold_that_asks_for_little_reads_the_later_pages_in_brief(table: BaseStore, dynamodb_endpoint: str) -> None:
    total: Projection[int] = Projection("total", initial=int)

    @total.on("Counted")
    def add(state: int, event: Event) -> int:
        return state + int(event.data["number"])

    assert total.asks_little
    with (
        lossy_proxy(dynamodb_endpoint) as proxy,
        open_store(f"{table.url.partition('?')[0]}?region=eu-west-1&endpoint_url={proxy.url}") as store,
    ):
        store.page_size = 2  # type: ignore[attr-defined]  # it is a table's
        found = rebuild_all(total, store, streams=["s-11", "s-15"])
        assert [(each.state, each.last and each.last.source) for each in found] == [(6, "shop"), (6, "shop")]
    assert sum("ProjectionExpression" in request for _, request in proxy.asked) >= 2


def test_keys_in_other_spellings_are_read_one_by_one(table: BaseStore) -> None:
    with open_store(f"{table.url}&legacy=1") as store:
        assert len(list(rebuild_all(counting, store, streams=NAMES[8:], at="2026-03-02"))) == 32


class Server:
    """Answers with empty pages, but for `bad`, and notes what it was asked."""

    def __init__(self, bad: str = "") -> None:
        self.asked: list[str] = []
        self.bad = bad

    def asking(self, stream: str, low: str, high: str) -> Ask:
        def ask(key: object) -> Any:
            self.asked.append(stream)
            if stream == self.bad:
                raise StoreUnavailable("dynamodb://events", code="Throttled", doing="reading")
            return {"Items": [{"pk": {"S": stream}, "sk": {"S": "2026-03-01T00:00:00.000Z#A"}}]}

        return ask

    def rows(self, stream: str, low: str, high: str, first: Awaited | None) -> Iterator[Event]:
        answer = self.asking(stream, low, high)(None) if first is None else first.result()
        yield from page_of(answer, url="dynamodb://events").events


def reading(server: Server, names: Iterator[str] | list[str], send: Any = None) -> Any:
    ways = server.asking, server.rows, server.rows
    return in_flight(names, *ways, Window(), url="dynamodb://events", now=lambda: 0, send=send)


def test_never_more_are_under_way_than_so_many_and_one_is_read() -> None:
    server, taken = Server(), 0

    def names() -> Iterator[str]:
        nonlocal taken
        for name in NAMES:
            taken += 1
            yield name

    for place, (stream, store) in enumerate(reading(server, names()), start=1):
        assert [event.stream for event in store.read(stream)] == [stream]
        assert taken == min(place + IN_FLIGHT, len(NAMES))
    assert sorted(server.asked) == NAMES


def test_what_goes_wrong_is_raised_at_its_turn() -> None:
    server = Server(bad="s-05")
    streams = reading(server, NAMES)
    with closing(streams):
        for stream, store in streams:
            if stream == "s-05":
                with pytest.raises(StoreUnavailable):
                    list(store.read(stream))
                break
            assert len(list(store.read(stream))) == 1
    assert stream == "s-05"
    assert no_threads()


def test_one_that_is_not_read_does_no_harm_to_the_next_one() -> None:
    streams = reading(Server(), NAMES[:3])
    next(streams)
    stream, store = next(streams)
    assert [event.stream for event in store.read(stream)] == ["s-01"]
    assert [event.stream for event in store.read("s-30")] == ["s-30"]  # which was not asked for ahead
    streams.close()
    assert no_threads()


def test_an_iteration_that_is_left_asks_for_nothing_more() -> None:
    server = Server()
    streams = reading(server, iter(NAMES))
    next(streams)
    streams.close()
    asked = len(server.asked)
    assert asked <= IN_FLIGHT + 1
    assert no_threads()
    assert list(streams) == []
    assert len(server.asked) == asked


def no_threads() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("eventsourcing_kit")]


# Without threads


class Post:
    """Sends questions to a Server, and notes which were answered and which cancelled."""

    def __init__(self, server: Server, *, long: str = "") -> None:
        self.server = server
        self.long = long
        self.sent: list[str] = []
        self.answered: list[str] = []
        self.cancelled: list[str] = []

    def send(self, stream: str, low: str, high: str) -> Unanswered:
        self.sent.append(stream)

        def result() -> Any:
            self.answered.append(stream)
            answer = self.server.asking(stream, low, high)(None)
            padding = "x" * 100_000 if stream == self.long else ""
            return answer_with(json.dumps({**answer, "Padding": padding}).encode())

        return Unanswered(result, lambda: self.cancelled.append(stream))


def test_what_was_sent_is_answered_at_its_turn_without_a_thread() -> None:
    post = Post(Server())
    for place, (stream, store) in enumerate(reading(post.server, NAMES, post.send), start=1):
        assert post.sent == NAMES[: place + IN_FLIGHT]
        assert post.answered == NAMES[: place - 1]
        assert [event.stream for event in store.read(stream)] == [stream]
        assert [event.stream for event in store.read(stream)] == [stream]
        assert no_threads()
    assert post.answered == NAMES
    assert post.cancelled == []


def test_what_was_sent_and_went_wrong_is_raised_at_its_turn() -> None:
    post = Post(Server(bad="s-05"))
    with closing(reading(post.server, NAMES, post.send)) as streams:
        for stream, store in streams:
            if stream == "s-05":
                for _ in range(2):
                    with pytest.raises(StoreUnavailable):
                        list(store.read(stream))
                break
            assert len(list(store.read(stream))) == 1
    assert post.answered == NAMES[:6]
    assert sorted(post.cancelled) == NAMES[6 : 6 + IN_FLIGHT]


def test_what_was_sent_and_nobody_reads_is_cancelled() -> None:
    post = Post(Server())
    with closing(reading(post.server, NAMES, post.send)) as streams:
        next(streams)
        assert post.cancelled == []
        next(streams)
        assert post.cancelled == ["s-00"]
    assert sorted(post.cancelled) == post.sent == NAMES[: IN_FLIGHT + 2]


def test_behind_a_long_answer_threads_wait_for_the_others() -> None:
    post = Post(Server(), long="s-02")
    for stream, store in reading(post.server, NAMES, post.send):
        assert [event.stream for event in store.read(stream)] == [stream]
    assert post.sent == NAMES[: 3 + IN_FLIGHT]
    assert sorted(post.server.asked) == NAMES
