"""All streams in one pass: the answers, failures and errors of reading them one by one, whatever the table does."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, cycle
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from botocore.retries.standard import ExponentialBackoff
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsourcing_kit import Projection, open_store, rebuild_all
from eventsourcing_kit.errors import (
    EventSourcingError,
    FoldCrashed,
    FoldFailed,
    InvalidOption,
    InvalidProjection,
    StoreUnavailable,
)
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.record import Record
from eventsourcing_kit.scanning import SEGMENTS
from eventsourcing_kit.stores.contract import ScannedPage, Scanning, Unread
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from eventsourcing_kit.stores.segments import is_live
from eventsourcing_kit.stores.sqlite import SQLiteStore
from eventsourcing_kit.testing import Clock, event
from tests.canned import Answer, Canned, canned, page
from tests.counting import counting, loose
from tests.proxy import Fault, faulty_proxy
from tests.servers import LossyProxy, lossy_proxy
from tests.transports import TRANSPORTS, are_direct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit import Event
    from eventsourcing_kit.outcomes import StreamFailure
    from eventsourcing_kit.stores.base import BaseStore

NOW: Final = "2026-03-10T00:00:00.000000Z"
NOW_NS: Final = from_rfc3339(NOW)


def log() -> Projection[list[Any]]:
    """A projection that forgets nothing, least of all the order; it chokes on some events."""
    projection: Projection[list[Any]] = Projection("log", initial=list)

    @projection.on()
    def note(state: list[Any], event: Event) -> list[Any]:
        if event.type == "Broken":
            raise KeyError(event.data["n"])
        return [*state, [event.type, event.key, event.id]]

    return projection


LOG: Final = log()
NUMBERS: Final = count()


def told(projection: Projection[Any], store: BaseStore, **question: Any) -> list[Any]:
    """All that can be told of the answers, and of how they end."""
    failures: list[StreamFailure] = []
    found: list[Any] = []
    try:
        for each in rebuild_all(projection, store, clock=lambda: NOW_NS, failures=failures, **question):
            facts = (each.stream, each.state, each.at_ns, each.known_at_ns, each.events, each.complete, each.warnings)
            found.append((*facts, each.last, each.last and each.last.key, each.version))
    except EventSourcingError as error:
        found.append(told_of(error))
    return [*found, *((stream, *told_of(error)) for stream, error in failures)]


def told_of(error: EventSourcingError) -> tuple[Any, ...]:
    facts = (type(error), str(error), type(error.__cause__), getattr(error, "__notes__", None))
    return (*facts, error.event, error.state) if isinstance(error, FoldFailed) else facts


# Whatever lies in a table, however it is laid out


class Laid(SQLiteStore):
    """A store that can be scanned: its rows lie in pages of segments as they are laid out."""

    def __init__(self) -> None:
        super().__init__(None, url="sqlite://", clock=lambda: NOW_NS)
        self.layout: list[list[list[tuple[str, str] | None]]] = []  # segments of pages of rows; None: a damaged one

    def scanned(self, segment: int, *, of: int, prefix: str = "") -> Iterator[ScannedPage]:
        for rows in self.layout[segment::of]:
            for laid in rows:
                yield self._page([row for row in laid if row is None or row[0].startswith(prefix)])

    def _page(self, laid: list[tuple[str, str] | None]) -> ScannedPage:
        events = [event for row in laid if row is not None for event in self._rows(row[0], row[1], row[1])]
        if None in laid:
            return ScannedPage((), [Unread(event.stream, is_live(event, NOW_NS)) for event in events])
        return ScannedPage(events)


times = st.sampled_from(["2026-03-01T10:00:00.000Z", "2026-03-01T10:00:00.001Z", "2026-03-05T00:00:00.000Z"])
spelled = times | st.sampled_from(["2026-03-01T10:00:00.000+00:00", "undefined"])
keys = st.one_of(
    st.builds("{}#{}".format, times, st.sampled_from(["A", "B", "A##0123456789abcdef", "Broken"])),
    st.builds("{}#{}".format, spelled, st.just("A")),
    st.sampled_from(["#head", "#late#2026-03-01T10:00:00.000000Z#k"]),
)


@st.composite
def rows(draw: st.DrawFn) -> Record:
    key = draw(keys)
    time = key.partition("#")[0]
    bookkeeping = key.startswith("#")
    head = '{"first_moment":"2026-02-01T00:00:00Z","first_expires":1772700000}'
    return Record(
        pk=draw(st.sampled_from(["a", "a1", "b", "é"])),
        sk=key,
        event_id="" if bookkeeping else draw(st.sampled_from(["e-1", "e-2"])),
        event_time=time,
        source="laws",
        event_detail=head
        if key == "#head"
        else draw(st.sampled_from(['{"data":{"n":1},"metaData":{"time":"2026-03-01T10:00:00.0005Z"}}', "{", "{}"])),
        recorded_at=draw(st.none() | st.sampled_from(["2026-03-01T10:00:01.000000Z", "2026-03-07T00:00:00.000000Z"])),
        expire_record=draw(st.none() | st.sampled_from([NOW_NS // 10**9 - 5, NOW_NS // 10**9, NOW_NS // 10**9 + 5])),
    )


tables = st.lists(rows(), max_size=10, unique_by=lambda row: (row.pk, row.sk))
questions = st.fixed_dictionaries(
    {},
    optional={
        "at": st.sampled_from(["2026-03-01T10:00:00.0005Z", "2026-02-01", "2026-03-05"]),
        "start": st.sampled_from(["2026-03-01T10:00:00.0005Z", "2026-03-01", "2026-04-01"]),
        "known_at": st.just("2026-03-02"),
        "allow_incomplete": st.booleans(),
        "on_error": st.sampled_from(["raise", "skip"]),
        "strict": st.booleans(),
        "streams": st.sampled_from(["", "a", "é", "z"]),
    },
)


@contextmanager
def holding(found: list[Record]) -> Iterator[Laid]:
    with Laid() as store:
        for record in found:
            store._put(record)
        yield store


def sound(found: list[Record], pages: int) -> list[list[list[tuple[str, str] | None]]]:
    """As DynamoDB lays them out: a stream in one segment, in order; every so many rows another page."""
    segments: list[list[list[tuple[str, str] | None]]] = []
    for segment in range(SEGMENTS):
        mine = sorted((row.pk, row.sk) for row in found if len(row.pk.encode()) % SEGMENTS == segment)
        segments.append([list(mine[at : at + pages]) for at in range(0, len(mine), pages)] or [[]])
    return segments


@given(tables, questions, st.integers(1, 4))
def test_a_sound_table_gives_the_same_either_way(found: list[Record], question: dict[str, Any], size: int) -> None:
    with holding(found) as store:
        store.layout = sound(found, size)
        assert told(LOG, store, way="scan", **question) == told(LOG, store, way="query", **question)


@given(tables, questions, st.data())
def test_a_table_in_any_disorder_gives_the_same_either_way(
    found: list[Record], question: dict[str, Any], data: st.DataObject
) -> None:
    with holding(found) as store:
        order: list[tuple[str, str] | None] = [*data.draw(st.permutations([(row.pk, row.sk) for row in found]))]
        damaged = data.draw(st.lists(st.integers(0, len(order)), max_size=2))
        for place in damaged:
            order.insert(place, None)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), min_size=7, max_size=7)))
        pages = [order[low:high] for low, high in zip([0, *cuts], [*cuts, len(order)], strict=True)]
        store.layout = [pages[number : number + 2] for number in range(0, 8, 2)]
        assert told(LOG, store, way="scan", **question) == told(LOG, store, way="query", **question)


def test_what_lies_before_the_start_is_not_looked_at_either_way() -> None:
    foreign = Record(pk="a", sk="2026-03-01T10:00:00.000+00:00#A", event_id="e-1", event_detail="{}")
    with holding([foreign, Record(pk="a", sk="2026-03-05T00:00:00.000Z#A", event_id="e-2")]) as store:
        store.layout = [[[("a", foreign.sk), ("a", "2026-03-05T00:00:00.000Z#A")]]]
        (facts,) = told(LOG, store, way="scan", start="2026-03-02")
        assert facts[1] == [["A", "2026-03-05T00:00:00.000Z#A", "e-2"]]
        assert [facts] == told(LOG, store, way="query", start="2026-03-02")


def test_a_stream_in_disorder_is_listed_for_a_live_event_behind_that_too() -> None:
    rows = [Record(pk="a", sk=f"2026-03-0{day}T00:00:00.000Z#A", event_id="e") for day in (3, 1, 2)]
    rows[0].expire_record = rows[1].expire_record = NOW_NS // 10**9 - 5
    with holding(rows) as store:
        store.layout = [[[(row.pk, row.sk) for row in rows]]]
        (facts,) = told(LOG, store, way="scan", allow_incomplete=True)
        assert [facts] == told(LOG, store, way="query", allow_incomplete=True)


# On a DynamoDB server


@pytest.fixture
def table(dynamodb_url: str) -> Iterator[DynamoDBStore]:
    """A table of thirty streams, with all that a stream may have, in pages of seven rows."""
    with open_store(dynamodb_url, clock=Clock("2026-03-02T00:00:00Z")) as store:
        assert isinstance(store, DynamoDBStore)
        store.create_table()
        fill(store)
        store._clock = lambda: NOW_NS
        store.page_size = 7
        yield store


def fill(store: BaseStore) -> None:
    names = [f"s-{number:03}" for number in range(28)] + ["é", "t-1"]
    for place, stream in enumerate(names):
        store.append_many(
            event("Counted", stream=stream, time=f"2026-03-01T0{number % 9}:00:00.{number:03}Z", number=number)
            for number in range(1 + place % 5)
        )
    store.append_many(
        event("Counted", stream="s-025", id=f"e-{number}", time=f"2026-03-01T12:00:{number:02}Z", number=number)
        for number in range(20)
    )
    store.append(event("Broken", stream="s-007", note="canary"))
    store.append(event("Unknown", stream="s-008"))
    store.retention_days = 6
    store.append(event("Counted", stream="gone", time="2026-03-01T00:00:00Z", number=1))
    store.append(event("Counted", stream="s-010", time="2026-03-02T00:00:00Z", number=1))
    store.append(event("Counted", stream="s-011", time="2026-03-08T00:00:00Z", number=1))
    store.retention_days = None


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"streams": "s-01"},
        {"streams": "nothing"},
        {"at": "2026-03-01T03:00:00.003Z"},
        {"at": "2026-02-01"},
        {"start": "2026-03-01T02:00:00.002Z", "at": "2026-03-08"},
        {"known_at": "2026-03-01T12:00:00Z"},
        {"allow_incomplete": True, "on_error": "skip"},
        {"strict": True},
    ],
)
def test_a_table_gives_the_same_either_way(table: DynamoDBStore, question: dict[str, Any]) -> None:
    assert told(counting, table, way="scan", **question) == told(counting, table, way="query", **question)


@pytest.mark.parametrize("question", [{}, {"streams": "s-01", "at": "2026-03-01T03:00:00.003Z"}])
def test_workers_give_the_same_either_way(table: DynamoDBStore, question: dict[str, Any]) -> None:
    scanned = told(counting, table, way="scan", workers=2, **question)
    assert scanned == told(counting, table, way="query", workers=2, **question)
    assert len(scanned) > 9


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=tables, question=questions, size=st.integers(1, 4))
def test_any_table_gives_the_same_either_way(
    table: DynamoDBStore, found: list[Record], question: dict[str, Any], size: int
) -> None:
    table.page_size = size
    prefix = f"any-{next(NUMBERS)}-"  # so that one table serves for all examples
    for record in found:
        table._put(msgspec.structs.replace(record, pk=prefix + record.pk))
    asked = {**question, "streams": prefix + question.get("streams", "")}
    assert told(LOG, table, way="scan", **asked) == told(LOG, table, way="query", **asked)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_pass_comes_through_what_a_network_does(table: DynamoDBStore, dynamodb_endpoint: str, transport: str) -> None:
    faults: Iterator[Fault | None] = cycle(
        (None, None, "throttled", None, None, "cut before", None, None, "half an answer", None, None, "error")
    )
    with (
        faulty_proxy(dynamodb_endpoint, faults.__next__) as proxy,
        open_store(
            f"dynamodb://{table.table}?region=eu-west-1&endpoint_url={proxy.url}{TRANSPORTS[transport]}"
        ) as store,
    ):
        assert isinstance(store, DynamoDBStore)
        store._clock = lambda: NOW_NS
        store.page_size = 7
        assert told(counting, store, way="scan") == told(counting, table, way="query")
    assert len(proxy.struck) == 4
    assert any(are_direct(proxy.agents)) == (transport == "direct")


def test_where_a_process_dies_it_is_said_at_which_stream(table: DynamoDBStore) -> None:
    table.append(event("Crashing", stream="s-020", time="2026-03-09T00:00:00Z"))
    with pytest.raises(FoldCrashed) as caught:
        list(rebuild_all(counting, table, streams="s-02", workers=2, way="scan"))
    assert caught.value.stream == "s-020"


def test_a_state_that_json_does_not_bring_back_is_read_one_by_one(table: DynamoDBStore) -> None:
    answers = list(rebuild_all(loose, table, streams="s-02", way="scan"))
    assert [answer.state for answer in answers] == [{"types": {"Counted"}}] * 8
    assert [answer.stream for answer in answers] == [f"s-02{number}" for number in range(8)]
    with pytest.raises(InvalidProjection, match="does not come back from JSON"):
        list(rebuild_all(loose, table, streams="s-02", way="scan", workers=2))


def test_one_pass_asks_for_nothing_twice(table: DynamoDBStore, dynamodb_endpoint: str) -> None:
    table.page_size = None
    with lossy_proxy(dynamodb_endpoint) as proxy, proxied(table, proxy) as store:
        assert len(list(rebuild_all(counting, store, streams="s-02"))) == 8
        assert sorted(request["Segment"] for _, request in proxy.asked) == list(range(SEGMENTS))
    assert {operation for operation, _ in proxy.asked} == {"Scan"}
    assert all(request["ConsistentRead"] for _, request in proxy.asked)


@contextmanager
def proxied(table: DynamoDBStore, proxy: LossyProxy) -> Iterator[DynamoDBStore]:
    with open_store(f"dynamodb://{table.table}?region=eu-west-1&endpoint_url={proxy.url}") as store:
        assert isinstance(store, DynamoDBStore)
        yield store


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"streams": ["s-001"]}, "the streams are listed already"),
        ({"at": "event:1"}, "an event has to be looked up in each stream"),
        ({"known_at": "event:1"}, "an event has to be looked up"),
        ({"snapshots": "auto"}, "snapshots spare the reading of events"),
    ],
)
def test_what_can_not_be_scanned_is_queried_and_says_why(
    dynamodb_url: str, question: dict[str, Any], reason: str
) -> None:
    with open_store(dynamodb_url) as store:
        store.create_table()
        store.create_snapshots_table()  # type: ignore[attr-defined]  # a table has them
        store.append(event("Counted", stream="s-001", number=1))
        with pytest.raises(InvalidOption, match=reason):
            list(rebuild_all(counting, store, way="scan", **question))
        assert [answer.state.total for answer in rebuild_all(counting, store, **question)] == [1]


def test_a_store_that_is_no_table_or_has_other_keys_is_not_scanned(dynamodb_url: str) -> None:
    with open_store("sqlite://") as store, pytest.raises(InvalidOption, match="reads one stream after another anyway"):
        list(rebuild_all(counting, store, way="scan"))
    with open_store(f"{dynamodb_url}&legacy=1") as store, pytest.raises(InvalidOption, match="keys in an order"):
        list(rebuild_all(counting, store, way="scan"))
    with open_store("sqlite://") as store, pytest.raises(InvalidOption, match="'auto', 'scan' or 'query'"):
        list(rebuild_all(counting, store, way="both"))  # type: ignore[arg-type]  # what it refuses


# What a table never did so far, and what a network does


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)


def item(stream: str, number: int, **more: Any) -> dict[str, Any]:
    key = f"2026-03-01T11:00:00.{number:03d}Z#Counted"
    detail = '{"data":{"number":1}}'
    named = {"eventId": {"S": f"{stream}-{number}"}, "detailType": {"S": "Counted"}, "eventDetail": {"S": detail}}
    return {"pk": {"S": stream}, "sk": {"S": key}, **named, **more}


@contextmanager
def served(segments: dict[str, list[Answer]], *queried: dict[str, Any]) -> Iterator[tuple[DynamoDBStore, Canned]]:
    """A table whose segments answer so, each beginning behind `"0 "`; what is queried is always the same."""
    empty = {f"{number} ": [page()] for number in range(SEGMENTS)}
    with (
        canned({**empty, **segments, "": [page(*queried)]}) as server,
        open_store(f"dynamodb://events?region=eu-west-1&endpoint_url={server.url}") as store,
    ):
        assert isinstance(store, DynamoDBStore)
        assert isinstance(store, Scanning)
        yield store, server


def seen(store: BaseStore) -> list[tuple[str, tuple[str, ...]]]:
    return [(answer.stream, answer.state.seen) for answer in rebuild_all(counting, store)]


def test_a_stream_may_go_on_over_pages() -> None:
    first = page(item("a", 1), item("b", 1), behind="k1")
    with served({"0 ": [first], "0 k1": [page(item("b", 2), item("c", 1))]}) as (store, server):
        assert seen(store) == [("a", ("a-1",)), ("b", ("b-1", "b-2")), ("c", ("c-1",))]
        assert "" not in server.asked


def test_a_page_without_rows_may_have_more_behind_it() -> None:
    pages = {"0 ": [page(behind="k1")], "0 k1": [page(item("a", 1), behind="k2")], "0 k2": [page(behind="k3")]}
    with served({**pages, "0 k3": [page(item("a", 2))]}) as (store, server):
        assert seen(store) == [("a", ("a-1", "a-2"))]
        assert "" not in server.asked


@pytest.mark.parametrize(
    "segments",
    [
        pytest.param({"0 ": [page(item("a", 1))], "2 ": [page(item("a", 2))]}, id="two segments"),
        pytest.param({"0 ": [page(item("a", 1), item("b", 1), item("a", 2))]}, id="one page"),
        pytest.param(
            {"0 ": [page(item("a", 1), item("b", 1), behind="k1")], "0 k1": [page(item("a", 2))]}, id="two pages"
        ),
        pytest.param({"0 ": [page(item("a", 2), item("a", 1))]}, id="descending"),
        pytest.param({"0 ": [page(item("a", 1), item("a", 1), item("a", 2))]}, id="twice"),
        pytest.param({"0 ": [page(item("a", 2), behind="k1")], "0 k1": [page(item("a", 1))]}, id="descending pages"),
    ],
)
def test_a_stream_that_does_not_stand_together_in_order_is_asked_for_again(segments: dict[str, Any]) -> None:
    with served(segments, item("a", 7), item("a", 8)) as (store, server):
        assert dict(seen(store))["a"] == ("a-7", "a-8")
        assert server.asked.count("") == 1


def test_a_row_that_can_not_be_read_is_told_by_reading_its_stream() -> None:
    damaged = page(item("a", 1), item("b", 1, source={"N": "7"}), item("c", 1))
    with served({"0 ": [damaged], "1 ": [page(item("d", 1))]}, item("x", 1, source={"N": "7"})) as (store, server):
        failures: list[StreamFailure] = []
        assert [each.stream for each in rebuild_all(counting, store, failures=failures)] == ["d"]
        assert [failure.stream for failure in failures] == ["a", "b", "c"]
        assert "attribute 'source' of the item" in str(failures[1].error)
        assert server.asked.count("") == 3


def test_a_page_that_is_wrong_cut_or_throttled_is_asked_for_again() -> None:
    wrong, cut = page(item("z", 9), checksum=1), replace(page(item("y", 1)), sent=40)
    busy = Answer(b'{"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}', status=400)
    pages = {"0 ": [wrong, page(item("a", 1), behind="k1")], "0 k1": [cut, busy, page(item("a", 2))]}
    with served(pages) as (store, server):
        assert seen(store) == [("a", ("a-1", "a-2"))]
        assert [key for key in server.asked if key.startswith("0")] == ["0 ", "0 ", "0 k1", "0 k1", "0 k1"]


@pytest.mark.parametrize("bad", [page(checksum=1), replace(page(item("a", 1)), sent=40), Answer(b"{}")])
@pytest.mark.parametrize("place", ["3 ", "0 k1"])
def test_where_a_page_does_not_come_there_is_no_answer_at_all(bad: Answer, place: str) -> None:
    pages = {"0 ": [page(item("a", 1), behind="k1")], "0 k1": [page(item("b", 1))]}
    with served({**pages, place: [bad]}) as (store, _), pytest.raises(StoreUnavailable):
        next(iter(rebuild_all(counting, store)))
    assert no_threads()


def test_a_pass_that_is_left_leaves_no_thread_behind() -> None:
    pages = {"0 ": [page(item("a", 1), behind="k1")], "0 k1": [page(item("b", 1), behind="k2")], "0 k2": [page()]}
    with served(pages) as (store, _):
        for streams in (None, "", ["a", "b", "c"]):
            answers = rebuild_all(counting, store, streams=streams)
            next(iter(answers))
            answers.close()  # type: ignore[attr-defined]  # it is a generator
            assert no_threads()


def no_threads() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("eventsourcing_kit")]
