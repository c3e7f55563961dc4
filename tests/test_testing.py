"""The testing room: samples, scenarios, the clock, and that the suite for stores takes a good store and no other."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Event, Projection, parse
from eventsourcing_kit.errors import FoldFailed, InvalidOption
from eventsourcing_kit.record import Record, decode
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.testing import OPTIONAL, Clock, EventFactory, StoreContract, envelope, event, given, pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.stores.contract import Store
    from eventsourcing_kit.testing.contract.base import Item, OpenStore


# Samples


def test_an_envelope_is_as_eventbridge_delivers_it() -> None:
    assert envelope("OrderPlaced", stream="order-17", time="2026-03-01T12:03:27.5+01:00", id="e-1", total=42) == {
        "version": "0",
        "id": "e-1",
        "detail-type": "OrderPlaced",
        "source": "shop",
        "account": "123456789012",
        "time": "2026-03-01T11:03:27Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": {
            "metaData": {"time": "2026-03-01T12:03:27.5+01:00"},
            "data": {"primaryKey": "order-17", "total": 42},
        },
    }


def test_an_envelope_of_the_same_content_has_the_same_id() -> None:
    assert envelope("OrderPlaced", total=42)["id"] == "045c31cf-e868-5a8b-bed4-7e088cf755d6"
    assert envelope("OrderPlaced", total=42) == envelope("OrderPlaced", total=42)


@pytest.mark.parametrize(
    "other",
    [
        envelope("OrderPaid", total=42),
        envelope("OrderPlaced", total=43),
        envelope("OrderPlaced", total=42, stream="order-18"),
        envelope("OrderPlaced", total=42, time="2026-03-01T11:03:28Z"),
        envelope("OrderPlaced", total=42, source="stock"),
        envelope("OrderPlaced", total=42, metadata={"sequence": 1}),
    ],
)
def test_an_envelope_of_other_content_has_another_id(other: dict[str, Any]) -> None:
    assert other["id"] != envelope("OrderPlaced", total=42)["id"]


def test_an_envelope_may_have_a_time_that_is_none() -> None:
    assert envelope("OrderPlaced", time="2026-02-30")["detail"]["metaData"] == {"time": "2026-02-30"}


def test_an_event_is_its_envelope_parsed() -> None:
    assert event("OrderPlaced", total=42) == parse(envelope("OrderPlaced", total=42))
    assert event("OrderPlaced", identity="id").identity == "id"


@pytest.mark.parametrize("field", OPTIONAL)
def test_a_pair_is_two_envelopes_of_which_one_has_the_field(field: str) -> None:
    having, lacking = pair(field)
    missing = set(leaves(having)) - set(leaves(lacking))
    assert missing
    assert [name for name in missing if name != field and not name.startswith(f"{field}.")] == []
    assert (parse(having).stream, parse(lacking).stream) == ("order-17", "order-17")


def test_a_pair_is_new_at_each_call() -> None:
    having, lacking = pair("region")
    having["detail"]["data"]["total"] = 0
    lacking["detail"]["data"]["total"] = 0
    assert [sample["detail"]["data"]["total"] for sample in pair("region")] == [42, 42]


def leaves(value: Any, path: str = "") -> Iterator[str]:
    if not isinstance(value, dict):
        yield path
        return
    for name, inner in value.items():
        yield from leaves(inner, f"{path}.{name}".lstrip("."))


# Factories


def test_a_factory_makes_events_of_one_stream_with_increasing_moments() -> None:
    make = EventFactory("order-17")
    made = [make("OrderPlaced", total=42), make("OrderPaid"), make("OrderPaid")]
    assert made[0] == event("OrderPlaced", time="2026-03-01T00:00:00.000000000Z", total=42)
    assert [each.key for each in made] == [
        "2026-03-01T00:00:00.000Z#OrderPlaced",
        "2026-03-01T00:00:01.000Z#OrderPaid",
        "2026-03-01T00:00:02.000Z#OrderPaid",
    ]
    assert len({each.id for each in made}) == 3
    again = EventFactory("order-17")
    assert [again("OrderPlaced", total=42), again("OrderPaid"), again("OrderPaid")] == made


def test_a_factory_takes_what_an_event_takes_and_goes_on_behind_a_time_that_is_given() -> None:
    make = EventFactory("order-17", start="2026-01-01T00:00:00Z")
    given = make("OrderPaid", stream="b", time="2026-06-01T00:00:00.5Z", id="e-1", source="x", metadata={"sequence": 2})
    assert (given.stream, given.id, given.source, given.sequence) == ("b", "e-1", "x", 2)
    assert make("OrderPaid", time="2026-02-01T00:00:00Z").key.startswith("2026-02-01T00:00:00.000Z")
    assert (make("OrderPaid").stream, make("OrderPaid").key[:24]) == ("order-17", "2026-06-01T00:00:02.500Z")


# Scenarios


@dataclass(frozen=True)
class Order:
    total: int = 0
    lines: tuple[str, ...] = ()
    paid: bool = field(default=False)


orders = Projection("orders", initial=Order)


@orders.on("ItemAdded")
def item_added(state: Order, event: Event) -> Order:
    return replace(state, total=state.total + event.data["price"], lines=(*state.lines, event.data["item"]))


@orders.on("OrderPaid")
def order_paid(state: Order, event: Event) -> Order:
    if state.total == 0:
        raise ValueError("nothing to pay")
    return replace(state, paid=True)


PEN, INK = event("ItemAdded", item="pen", price=3), event("ItemAdded", item="ink", price=7)


def test_given_no_event_then_the_initial_state() -> None:
    given(orders).then(Order())


def test_given_events_then_the_state_behind_them_in_the_order_given() -> None:
    given(orders, INK, PEN).then(Order(total=10, lines=("ink", "pen")))


def test_another_state_is_an_error_that_shows_both() -> None:
    with pytest.raises(AssertionError) as raised:
        given(orders, PEN, INK).then(Order(total=11, lines=("pen", "ink")))
    assert str(raised.value) == (
        "projection 'orders' gives another state for 2 events:\n"
        "--- expected\n"
        "+++ found\n"
        "-Order(total=11, lines=('pen', 'ink'), paid=False)\n"
        "+Order(total=10, lines=('pen', 'ink'), paid=False)"
    )


@dataclass(frozen=True, repr=False)
class Basket:
    def __repr__(self) -> str:
        return "empty"


@dataclass(frozen=True, repr=False)
class Drawer:
    def __repr__(self) -> str:
        return "empty"


def test_a_state_that_only_looks_the_same_is_an_error_that_shows_the_types() -> None:
    baskets: Projection[Any] = Projection("baskets", initial=Basket)
    with pytest.raises(AssertionError) as raised:
        given(baskets).then(Drawer())
    assert str(raised.value).splitlines()[-2:] == ["-Drawer: empty", "+Basket: empty"]


def test_a_handler_that_depends_on_more_than_state_and_event_is_an_error() -> None:
    ticks = count()
    clocked = Projection("clocked", initial=int)

    @clocked.on("ItemAdded")
    def tick(state: int, event: Event) -> int:
        return next(ticks)

    with pytest.raises(AssertionError, match="projection 'clocked' gives two states for the same 1 event"):
        given(clocked, PEN).then(0)


def test_a_failing_fold_is_what_then_raises_expects() -> None:
    failed = given(orders, event("OrderPaid", id="e-1")).then_raises()
    assert (failed.projection, failed.event_id) == ("orders", "e-1")


@pytest.mark.parametrize("kind", [FoldFailed, ValueError, Exception])
def test_the_failure_may_be_named_by_what_the_handler_raises(kind: type[Exception]) -> None:
    given(orders, event("OrderPaid")).then_raises(kind)


def test_a_failure_of_another_kind_is_an_error() -> None:
    with pytest.raises(AssertionError, match="fails because ValueError was raised, expected KeyError"):
        given(orders, event("OrderPaid")).then_raises(KeyError)


def test_a_fold_that_ends_well_is_an_error_where_a_failure_is_expected() -> None:
    with pytest.raises(AssertionError, match="projection 'orders' folds 1 event well, expected FoldFailed"):
        given(orders, PEN).then_raises()


def test_a_state_is_not_expected_of_a_failing_fold() -> None:
    with pytest.raises(FoldFailed):
        given(orders, event("OrderPaid")).then(Order())


def test_a_scenario_may_start_from_a_state_which_stays_as_it_is() -> None:
    start = Order(total=1, lines=("cap",))
    given(orders, PEN, start=start).then(Order(total=4, lines=("cap", "pen")))
    assert start == Order(total=1, lines=("cap",))
    given(orders, event("OrderPaid"), start=start).then(replace(start, paid=True))


def test_a_state_may_be_given_as_json_has_it() -> None:
    given(orders, PEN).then_json({"paid": False, "lines": ["pen"], "total": 3})
    for total, paid in ((3.0, False), (3, 0), (3, None)):
        with pytest.raises(AssertionError, match="projection 'orders' gives another state for 1 event:\n--- expected"):
            given(orders, PEN).then_json({"total": total, "lines": ["pen"], "paid": paid})


@pytest.mark.parametrize("check", ["total == `3`", "lines[?@ == 'pen']", lambda state: state.total == 3])
def test_a_state_may_be_asked_whether_it_holds(check: Any) -> None:
    given(orders, PEN).then_holds(check)
    with pytest.raises(AssertionError) as raised:
        given(orders, INK).then_holds(check)
    lines = str(raised.value).splitlines()
    name = check if isinstance(check, str) else "<lambda>"
    assert lines[0] == f"projection 'orders' gives a state for 1 event for which '{name}' does not hold:"
    assert "7" in lines[1]


@dataclass(eq=False)
class Drawn:
    """A state as people write them who never compare two."""

    item: str = ""


def test_a_state_that_equals_nothing_may_be_asked_through_its_json() -> None:
    drawn = Projection("drawn", initial=Drawn)
    drawn.on("ItemAdded")(lambda _, event: Drawn(event.data["item"]))
    given(drawn, PEN).then_json({"item": "pen"})
    given(drawn, PEN).then_holds("item == 'pen'")
    given(drawn, PEN).then_holds(lambda state: state.item == "pen")


def test_a_check_that_is_no_jmespath_is_an_error() -> None:
    with pytest.raises(InvalidOption, match="check: found 'total =='"):
        given(orders, PEN).then_holds("total ==")


def test_nothing_but_zero_and_what_is_not_empty_holds() -> None:
    values: dict[str, Any] = {"zero": 0, "no": False, "none": None, "text": "", "list": [], "object": {}, "one": [None]}
    state: Projection[dict[str, Any]] = Projection("state", initial=lambda: dict(values))
    for name in ("zero", "one"):
        given(state).then_holds(name)
    for name in ("no", "none", "text", "list", "object", "missing"):
        with pytest.raises(AssertionError, match="does not hold"):
            given(state).then_holds(name)


@pytest.mark.parametrize("then", [lambda scenario: scenario.then_json(1), lambda scenario: scenario.then_holds("@")])
def test_whatever_is_asked_a_handler_that_depends_on_more_is_an_error(then: Any) -> None:
    ticks = count(1)
    clocked = Projection("clocked", initial=int)
    clocked.on("ItemAdded")(lambda _state, _event: next(ticks))
    with pytest.raises(AssertionError, match="projection 'clocked' gives two states for the same 1 event"):
        then(given(clocked, PEN))


# The clock


def test_a_clock_stands_still_until_it_is_set() -> None:
    clock = Clock("1970-01-01T00:00:01Z")
    assert [clock(), clock()] == [1_000_000_000, 1_000_000_000]
    clock.set("1970-01-01T00:00:00.000000002Z")
    assert clock() == 2


# The suite for stores, and a store of somebody else's


class DictStore(BaseStore):
    """The smallest adapter: two dicts inside each other. `places` are what is left when a store is closed."""

    def __init__(self, places: dict[str, dict[str, dict[str, Record]]], **options: Any) -> None:
        super().__init__("dict://", **options)
        self._rows_of = places

    def create_table(self) -> None:
        self._rows_of.setdefault("events", {})

    def streams(self, prefix: str = "") -> Iterator[str]:
        for stream in sorted(self._rows_of["events"]):
            rows = self._rows_of["events"][stream].values()
            if stream.startswith(prefix) and any(row.sk > "#~" and self._is_live(row) for row in rows):
                yield stream

    def _is_live(self, row: Record) -> bool:
        return row.expire_record is None or row.expire_record * 1_000_000_000 > self._clock()

    def correlations(self) -> Iterator[tuple[str, str, str]]:
        live = [row for row in self._all() if row.correlation_id is not None and self._is_live(row)]
        for row in sorted(live, key=lambda row: row.correlation_id or ""):
            yield row.correlation_id or "", row.pk, row.sk

    def _correlated(self, correlation_id: str) -> Iterator[Event]:
        return (decode(row) for row in self._all() if row.correlation_id == correlation_id)

    def _all(self) -> list[Record]:
        return [row for rows in self._rows_of["events"].values() for row in rows.values()]

    def _put(self, record: Record) -> Record | None:
        rows = self._rows_of["events"].setdefault(record.pk, {})
        old = rows.setdefault(record.sk, record)
        return None if old is record else old

    def _swap(self, record: Record, *, expected: Record) -> Record | None:
        rows = self._rows_of["events"][record.pk]
        if rows[record.sk].event_detail != expected.event_detail:
            return rows[record.sk]
        rows[record.sk] = record
        return None

    def _delete(self, stream: str, key: str) -> None:
        with suppress(KeyError):
            del self._rows_of["events"][stream][key]

    def _rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        rows = self._rows_of["events"].get(stream, {})
        for key in sorted(rows):
            if low <= key <= high and key in rows:
                yield decode(rows[key])


class TestDictStore(StoreContract):
    limits = {  # noqa: RUF012 - a constant of the class
        "absence": "a dict is there from the start",
        "snapshots": "it keeps events only",
        "threads": "its swap takes two steps",
    }

    @pytest.fixture
    def open_store(self) -> OpenStore:
        places: dict[str, dict[str, dict[str, Record]]] = {}
        return lambda **options: DictStore(places, **options)

    def put_item(self, store: Store, item: Item) -> None:
        assert isinstance(store, DictStore)
        names = dict(zip(Record.__struct_encode_fields__, Record.__struct_fields__, strict=True))
        store._put(Record(**{names[name]: value for name, value in item.items()}))

    def items(self, store: Store, stream: str) -> list[Item]:
        assert isinstance(store, DictStore)
        rows = store._rows_of["events"].get(stream, {})
        names = dict(zip(Record.__struct_fields__, Record.__struct_encode_fields__, strict=True))
        return [
            {names[name]: value for name in names if (value := getattr(rows[key], name)) is not None}
            for key in sorted(rows)
        ]


BROKEN = """
import pytest
from eventsourcing_kit.testing import StoreContract
from tests.test_testing import DictStore, TestDictStore as Good

class Broken(DictStore):
{body}

class TestBroken(Good):
    @pytest.fixture
    def open_store(self):
        places = {{}}
        return lambda **options: Broken(places, **options)
"""


@pytest.mark.parametrize(
    ("body", "case"),
    [
        (
            "    def _put(self, record):\n"
            "        super()._put(record)\n"
            "        self._rows_of['events'][record.pk][record.sk] = record",
            "test_a_redelivery_leaves_the_stored_event_as_it_is",
        ),
        (
            "    def _put(self, record):\n        return super()._put(record) if '##' not in record.sk else None",
            "test_fifty_events_of_one_millisecond_are_all_stored",
        ),
        (
            "    def _rows(self, stream, low, high):\n        return super()._rows(stream, low, high[:19])",
            "test_at_includes_its_own_moment_and_nothing_behind_it",
        ),
        (
            "    def _rows(self, stream, low, high):\n        return reversed(list(super()._rows(stream, low, high)))",
            "test_moments_of_all_years_and_offsets_stand_in_the_order_of_time",
        ),
        (
            "    def _is_live(self, row):\n        return True",
            "test_a_stream_is_listed_for_as_long_as_it_has_an_event",
        ),
        (
            "    def _swap(self, record, *, expected):\n        return None",
            "test_a_late_event_lowers_the_head",
        ),
    ],
    ids=["overwrites", "loses twins", "ends before its end", "is upside down", "lists the dead", "forgets the head"],
)
def test_the_suite_refuses_a_store_that_breaks_its_contract(tmp_path: Path, body: str, case: str) -> None:
    module = tmp_path / "test_broken.py"
    module.write_text(BROKEN.format(body=body))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(module), "-q", "-k", f"TestBroken and {case}", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert run.returncode == 1, run.stdout
    assert f"FAILED {module.name}" in run.stdout or f"TestBroken::{case}" in run.stdout


def test_nothing_but_the_suite_needs_pytest() -> None:
    code = (
        "import sys; from eventsourcing_kit.testing import event, given, pair, Clock; print('pytest' in sys.modules);"
        "from eventsourcing_kit.testing import StoreContract; print('pytest' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "True"]


def test_the_suite_has_at_least_a_hundred_cases(request: pytest.FixtureRequest) -> None:
    cases = [item for item in request.session.items if item.parent is not None and item.parent.name == "TestDictStore"]
    if not cases:
        pytest.skip("this run has selected a part of the tests only")
    assert len(cases) >= 100


def test_the_testing_room_says_what_it_has_not() -> None:
    import eventsourcing_kit.testing as room

    with pytest.raises(AttributeError, match=r"module 'eventsourcing_kit\.testing' has no attribute 'StorContract'"):
        room.StorContract  # noqa: B018 - the access is the point
