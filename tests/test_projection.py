from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field

from eventsourcing_kit import Event, Projection, Upcasters
from eventsourcing_kit.errors import FoldFailed, InvalidProjection
from eventsourcing_kit.testing import event

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Order:
    total: int = 0
    seen: tuple[str, ...] = ()


PLACED = event("OrderPlaced", stream="order-17", time="2026-03-01T11:00:00Z", total=5)
PAID = event("OrderPaid", stream="order-17", time="2026-03-01T12:00:00Z", total=5)
SENT = event("OrderSent", stream="order-17", time="2026-03-01T13:00:00Z")


def _nothing() -> None:
    return None


def see(state: Order, event: Event) -> Order:
    return replace(state, seen=(*state.seen, event.type))


def test_each_event_goes_to_the_handler_of_its_type() -> None:
    orders = Projection("orders", initial=Order)

    @orders.on("OrderPlaced")
    def placed(state: Order, event: Event) -> Order:
        return replace(state, total=event.data["total"])

    orders.on("OrderSent")(see)
    assert orders.fold([PLACED, PAID, SENT]) == Order(total=5, seen=("OrderSent",))


def test_one_handler_may_take_several_types() -> None:
    orders = Projection("orders", initial=Order)
    orders.on("OrderPlaced", "OrderSent")(see)
    assert orders.fold([PLACED, PAID, SENT]).seen == ("OrderPlaced", "OrderSent")


def test_a_handler_without_a_type_takes_all_other_types() -> None:
    orders = Projection("orders", initial=Order)
    orders.on()(see)
    orders.on("OrderPaid")(lambda state, _: replace(state, total=1))
    assert orders.fold([PLACED, PAID, SENT]) == Order(total=1, seen=("OrderPlaced", "OrderSent"))


def test_registering_gives_the_function_back_unchanged() -> None:
    orders = Projection("orders", initial=Order)
    assert orders.on("OrderPlaced")(see) is see
    assert see(Order(), PLACED) == Order(seen=("OrderPlaced",))


class OrderPlaced(BaseModel):
    total: Decimal
    coupon: str | None = None


def test_a_model_validates_and_types_the_data() -> None:
    totals = Projection("totals", initial=Decimal)

    @totals.on(OrderPlaced)
    def placed(state: Decimal, event: Event[OrderPlaced]) -> Decimal:
        assert isinstance(event.data, OrderPlaced)
        return state + event.data.total

    assert totals.fold([PLACED, PLACED]) == 10


class OrderShipped(msgspec.Struct):
    weight: int
    parcels: tuple[str, ...] = ()


def test_a_struct_is_a_model_too_and_its_name_is_the_type() -> None:
    weights = Projection("weights", initial=int)

    @weights.on(OrderShipped)
    def shipped(state: int, event: Event[OrderShipped]) -> int:
        assert type(event.data) is OrderShipped
        return state + event.data.weight * len(event.data.parcels)

    assert weights.types == {"OrderShipped"}
    assert weights.fold([sent(weight=3, parcels=["a", "b"]), sent(weight=5, parcels=["c"], more=[1.5, None])]) == 11


def sent(name: str = "OrderShipped", **data: Any) -> Event:
    return event(name, stream="order-17", time="2026-03-01T11:00:00Z", **data)


def detailed(detail: str) -> Event:
    """An OrderShipped as it stands in a store, with this text for its detail."""
    return msgspec.structs.replace(sent(), packed_detail=detail)


@pytest.mark.parametrize("kind", ["pydantic", "msgspec"])
@pytest.mark.parametrize(
    ("detail", "weight"),
    [
        ('{"data": {"weight": 3}, "metaData": {"weight": 4}}', 3),
        ('{"weight": 3, "metaData": {"weight": 4}}', 3),
        ('{"weight": 3, "data": [{"weight": 4}]}', 3),
        ('{"weight": 3, "data": null}', 3),
        ('{"data": {"weight": 4}, "data": {"weight": 3}}', 3),
        ('{"note": "\\ud800", "data": {"weight": 3}}', 3),
        ('{"data": {"weight": 3, "other": 1e999}}', 3),
    ],
)
def test_a_model_of_either_kind_is_read_from_where_the_data_stands(kind: str, detail: str, weight: int) -> None:
    assert weights_in(kind).fold([detailed(detail)]) == weight
    assert detailed(detail).data["weight"] == weight


@pytest.mark.parametrize("kind", ["pydantic", "msgspec"])
def test_the_event_that_is_told_of_stays_as_it_was_read(kind: str) -> None:
    folded = weights_in(kind).fold_counted([sent(weight=3)])
    assert folded.last is not None
    assert folded.last.data["weight"] == 3


def weights_in(kind: str) -> Projection[int]:
    class Weighed(BaseModel):
        weight: int

    weights = Projection("weights", initial=int)
    if kind == "pydantic":
        weights.on("OrderShipped", model=Weighed)(lambda state, event: state + event.data.weight)
    else:
        weights.on("OrderShipped", model=OrderShipped)(lambda state, event: state + event.data.weight)
    return weights


class Line(msgspec.Struct):
    quantity: int


class Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    primary_key: str
    unit_price: int = 0
    lines: tuple[Line, ...] = ()
    stock: dict[str, int] = {}
    state: Literal["open", "closed"] = "open"
    count: Annotated[int, msgspec.Meta(ge=0)] = 0


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"unitPrice": "canary"}, "unitPrice (type_error)"),
        ({"unitPrice": None}, "unitPrice (type_error)"),
        ({"lines": [{"quantity": 1}, {"quantity": "canary"}]}, "lines.1.* (type_error)"),
        ({"lines": [{"canary": 1}]}, "lines.0.* (missing)"),
        ({"stock": {"canary": "canary"}}, "stock.* (type_error)"),
        ({"state": "canary"}, "state (value_error)"),
        ({"state": "canary` - at `$.canary`"}, "state (value_error)"),
        ({"count": -1}, "count (value_error)"),
        ({"canary": 1}, "* (extra_forbidden)"),
        ({"canary` - at `$.canary": 1}, "*.* (extra_forbidden)"),  # it looks like a place, and is told as any other
        ({"primaryKey": 7}, "primaryKey (type_error)"),
    ],
)
def test_data_that_does_not_fit_a_struct_names_event_and_field_without_values(data: Any, field: str) -> None:
    orders = Projection("orders", initial=Order)
    orders.on("OrderShipped", model=Strict)(lambda state, _: state)
    wrong = detailed(json.dumps({"data": {"primaryKey": "order-17", **data}}))
    with pytest.raises(FoldFailed) as failure:
        orders.fold([wrong])
    assert failure.value.fields == (field,)
    assert failure.value.reason == f"its data does not fit Strict: {field}"
    assert failure.value.event_id == wrong.id
    assert failure.value.__cause__ is None
    assert "canary" not in str(failure.value)


@pytest.mark.parametrize(
    ("detail", "field"),
    [
        ('{"data": {}}', "weight (missing)"),
        ('{"data": {"weight": 3, "parcels": ["\\ud800"]}}', "data (json_invalid)"),
    ],
)
def test_a_detail_without_readable_data_does_not_fit_a_struct(detail: str, field: str) -> None:
    weights = Projection("weights", initial=int)
    weights.on(OrderShipped)(lambda state, _: state)
    with pytest.raises(FoldFailed) as failure:
        weights.fold([detailed(detail)])
    assert failure.value.fields == (field,)
    assert "canary" not in str(failure.value)


def test_a_struct_that_can_not_be_read_from_data_is_refused_at_once() -> None:
    class Listed(msgspec.Struct, array_like=True):
        weight: int

    class Torn(msgspec.Struct):
        weight: list[int] | tuple[int, ...]

    for model, reason in ((Listed, "array_like"), (Torn, "more than one array-like")):
        with pytest.raises(InvalidProjection, match=reason):
            Projection("orders", initial=Order).on(model)


def test_a_model_may_stand_for_types_of_other_names() -> None:
    totals = Projection("totals", initial=Decimal)

    @totals.on("order placed", "order.placed", model=OrderPlaced)
    def placed(state: Decimal, event: Event[OrderPlaced]) -> Decimal:
        return state + event.data.total

    events = [event(name, stream="order-17", time="2026-03-01T11:00:00Z", total=2) for name in sorted(totals.types)]
    assert totals.fold(events) == 4


def test_a_strict_model_takes_what_json_can_say() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        primary_key: str = Field(alias="primaryKey")
        tags: tuple[str, ...]

    seen: Projection[list[Any]] = Projection("seen", initial=list)

    @seen.on("Tagged", model=Strict)
    def tagged(state: list[Any], event: Event[Strict]) -> list[Any]:
        return [*state, event.data.tags]

    assert seen.fold([event("Tagged", stream="a", time="2026-03-01T11:00:00Z", tags=["x", "y"])]) == [("x", "y")]


def test_data_that_does_not_fit_names_event_and_fields_without_values() -> None:
    class Line(BaseModel):
        quantity: int

    class Placed(BaseModel):
        model_config = ConfigDict(extra="forbid")
        primary_key: str = Field(alias="primaryKey")
        total: int
        lines: list[Line]
        stock: dict[str, int]

    orders = Projection("orders", initial=Order)
    orders.on("OrderPlaced", model=Placed)(lambda state, _: state)
    wrong = event(
        "OrderPlaced",
        stream="order-17",
        time="2026-03-01T11:00:00Z",
        total="canary-1",
        lines=[{"quantity": 1}, {"quantity": "canary-2"}],
        stock={"canary-3": "canary-4"},
        canary_5=1,
    )
    with pytest.raises(FoldFailed) as failure:
        orders.fold([wrong])
    assert failure.value.fields == (
        "* (extra_forbidden)",
        "lines.1.* (int_parsing)",
        "stock.* (int_parsing)",
        "total (int_parsing)",
    )
    assert failure.value.event_id == wrong.id
    assert failure.value.key == "2026-03-01T11:00:00.000Z#OrderPlaced"
    assert "canary" not in str(failure.value)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


def test_a_handler_that_raises_names_projection_stream_key_and_id() -> None:
    orders = Projection("orders", initial=Order)

    @orders.on("OrderPaid")
    def paid(state: Order, event: Event) -> Order:
        raise KeyError("canary")

    with pytest.raises(FoldFailed) as failure:
        orders.fold([PLACED, PAID])
    error = failure.value
    assert (error.projection, error.stream, error.event_id) == ("orders", "order-17", PAID.id)
    assert error.key == "2026-03-01T12:00:00.000Z#OrderPaid"
    assert "KeyError" in error.reason
    assert "canary" not in str(error)
    assert isinstance(error.__cause__, KeyError)


def test_a_handler_that_returns_nothing_is_an_error() -> None:
    orders: Projection[dict[str, Any]] = Projection("orders", initial=dict)

    @orders.on("OrderPlaced")
    def placed(state: dict[str, Any], event: Event) -> Any:
        state["total"] = event.data["total"]

    with pytest.raises(FoldFailed, match="returned None"):
        orders.fold([PLACED])


def test_a_state_may_begin_as_none() -> None:
    last: Projection[str | None] = Projection("last", initial=lambda: None)
    last.on()(lambda _, event: None if event.type == "OrderSent" else event.type)
    assert last.fold([PLACED, PAID]) == "OrderPaid"
    assert last.fold([PLACED, SENT]) is None


def test_with_a_key_there_is_a_state_for_each_entity() -> None:
    lines = Projection("lines", initial=int, key=lambda event: event.data.get("sku"))

    @lines.on("LineAdded")
    def added(state: int, event: Event) -> int:
        return state + int(event.data["quantity"])

    def line(sku: str | None, quantity: int) -> Event:
        return event("LineAdded", stream="order-17", time="2026-03-01T11:00:00Z", sku=sku, quantity=quantity)

    assert lines.fold([line("a", 1), line("b", 2), line(None, 9), line("a", 3)]) == {"a": 4, "b": 2}


def test_a_key_that_is_no_text_is_an_error() -> None:
    wrong: Any = lambda event: 7  # noqa: E731 - a function that its type forbids
    lines = Projection("lines", initial=int, key=wrong)
    lines.on()(lambda state, _: state)
    with pytest.raises(FoldFailed, match="neither text nor None"):
        lines.fold([PLACED])


def mutating() -> Projection[dict[str, Any]]:
    orders: Projection[dict[str, Any]] = Projection("orders", initial=dict)

    @orders.on("OrderPlaced")
    def placed(state: dict[str, Any], event: Event) -> dict[str, Any]:
        lines = state.setdefault("lines", event.data["lines"])
        lines.append(len(lines))
        event.data["total"] = event.data.get("total", 0) + 1
        state["total"] = event.data["total"]
        return state

    return orders


def test_a_mutating_handler_spoils_neither_events_nor_other_folds() -> None:
    orders = mutating()
    placed = event("OrderPlaced", stream="order-17", time="2026-03-01T11:00:00Z", lines=[7])
    assert placed.data["lines"] == [7]
    for _ in range(3):
        assert orders.fold([placed]) == {"lines": [7, 1], "total": 1}
    assert placed.data == {"primaryKey": "order-17", "lines": [7]}


def test_a_mutating_handler_does_not_spoil_the_start() -> None:
    start = {"lines": [1], "total": 3}
    assert mutating().fold([event("OrderPlaced", stream="a", time="2026-03-01T11:00:00Z", lines=[])], start) == {
        "lines": [1, 1],
        "total": 1,
    }
    assert start == {"lines": [1], "total": 3}


SHARED: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"name": "", "initial": dict}, "name"),
        ({"name": "a", "initial": {}}, "factory"),
        ({"name": "a", "initial": lambda: SHARED}, "same object"),
        ({"name": "a", "initial": lambda needed: needed}, "without arguments"),
        ({"name": "a", "initial": dict, "version": 0}, "version"),
        ({"name": "a", "initial": dict, "version": "2"}, "version"),
    ],
)
def test_a_definition_that_can_not_work_is_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidProjection, match=reason):
        Projection(**arguments)


@pytest.mark.parametrize("initial", [int, str, tuple, frozenset, Order, lambda: None])
def test_an_immutable_start_may_be_the_same_object(initial: Any) -> None:
    assert Projection("a", initial=initial).fold([PLACED]) == initial()


def test_a_second_handler_for_a_type_is_refused() -> None:
    orders = Projection("orders", initial=Order)
    orders.on("OrderPlaced")(see)
    orders.on()(see)
    with pytest.raises(InvalidProjection, match="'OrderPlaced' has a handler"):
        orders.on("OrderPaid", "OrderPlaced")(see)
    with pytest.raises(InvalidProjection, match="all other types"):
        orders.on()(see)


@pytest.mark.parametrize("types", [("",), (7,), (OrderPlaced, "b"), (dict,)])
def test_a_type_that_is_no_text_is_refused(types: Any) -> None:
    with pytest.raises(InvalidProjection, match="texts or one model"):
        Projection("orders", initial=Order).on(*types)


def test_a_handler_added_later_counts_from_then_on() -> None:
    orders = Projection("orders", initial=Order)
    assert orders.fold([PLACED]) == Order()
    orders.on("OrderPlaced")(see)
    assert orders.fold([PLACED]) == Order(seen=("OrderPlaced",))


def test_a_state_is_serialised_through_pydantic() -> None:
    @dataclass
    class Basket:
        total: Decimal = Decimal("1.10")
        lines: list[OrderPlaced] = field(default_factory=lambda: [OrderPlaced(total=Decimal(2))])

    assert Projection("baskets", initial=Basket).to_json(Basket()) == (
        b'{"total":"1.10","lines":[{"total":"2","coupon":null}]}'
    )
    assert Projection("lines", initial=int, key=lambda event: event.id).to_json({"a": 4}) == b'{"a":4}'
    tree: Projection[dict[str, Any]] = Projection("tree", initial=dict)
    assert tree.to_json({"é": [1, None]}) == '{"é":[1,null]}'.encode()


def test_a_state_of_a_subclass_is_serialised_with_all_its_fields() -> None:
    @dataclass(frozen=True)
    class Paid(Order):
        by: str = "card"

    class Draft(BaseModel):
        lines: int = 0

    class Sent(Draft):
        carrier: str

    assert Projection("orders", initial=Order).to_json(Paid(total=5)) == b'{"total":5,"seen":[],"by":"card"}'
    assert Projection("drafts", initial=Draft).to_json(Sent(carrier="post")) == b'{"lines":0,"carrier":"post"}'
    entities = Projection("entities", initial=Draft, key=lambda event: event.id)
    states = {"é": Draft(lines=1), "b": Sent(carrier="post")}
    assert entities.to_json(states) == '{"é":{"lines":1},"b":{"lines":0,"carrier":"post"}}'.encode()


@pytest.mark.parametrize(
    ("initial", "states"), [(_nothing, [None, {"a": 1}, [1], 1.0]), (int, [0, 5, 0.5, 5.0, 2**70])]
)
def test_a_state_comes_back_from_json_where_the_first_one_says_little_of_those_that_follow(
    initial: Callable[[], Any], states: list[Any]
) -> None:
    plain: Projection[Any] = Projection("plain", initial=initial)
    keyed: Projection[Any, dict[str, Any]] = Projection("keyed", initial=initial, key=lambda event: event.id)
    for state in states:
        found = plain.from_json(plain.to_json(state))
        assert (found, type(found)) == (state, type(state))
        assert keyed.from_json(keyed.to_json({"a": state})) == {"a": state}


def test_a_state_that_json_can_not_say_is_refused() -> None:
    class Opaque:
        pass

    with pytest.raises(InvalidProjection, match="the type Opaque"):
        Projection("opaque", initial=Opaque).to_json(Opaque())


def test_a_state_whose_type_pydantic_does_not_know_is_serialised_by_its_values() -> None:
    counts: Projection[defaultdict[str, int]] = Projection("counts", initial=lambda: defaultdict(int))
    assert counts.to_json(defaultdict(int, {"a": 1})) == b'{"a":1}'


def upcasters() -> Upcasters:
    chain = Upcasters()

    @chain.on("OrderPlaced")
    def with_currency(data: dict[str, Any], event: Event) -> dict[str, Any]:
        return {"currency": "EUR", **data}

    @chain.on("OrderCreated", to="OrderPlaced")
    def renamed(data: dict[str, Any], event: Event) -> dict[str, Any]:
        return {**data, "total": data["amount"]}

    @chain.on("OrderPlaced")
    def in_cents(data: dict[str, Any], event: Event) -> dict[str, Any]:
        return {**data, "total": data["total"] * 100}

    return chain


def test_upcasters_run_as_a_chain_before_the_handler() -> None:
    orders: Projection[list[Any]] = Projection("orders", initial=list, upcasters=upcasters())

    @orders.on("OrderPlaced")
    def placed(state: list[Any], event: Event) -> list[Any]:
        return [*state, (event.type, event.data["total"], event.data.get("currency"))]

    created = event("OrderCreated", stream="order-17", time="2026-03-01T11:00:00Z", amount=7)
    assert orders.fold([PLACED, created]) == [("OrderPlaced", 500, "EUR"), ("OrderPlaced", 700, None)]
    assert orders.stored_types("OrderPlaced") == {"OrderPlaced", "OrderCreated"}
    assert orders.handles("OrderCreated")


def test_upcasters_run_before_validation() -> None:
    class Priced(BaseModel):
        model_config = ConfigDict(strict=True)
        total: int
        currency: str

    totals: Projection[list[Any]] = Projection("totals", initial=list, upcasters=upcasters())

    @totals.on("OrderPlaced", model=Priced)
    def placed(state: list[Any], event: Event[Priced]) -> list[Any]:
        return [*state, event.data.total, event.data.currency]

    assert totals.fold([PLACED]) == [500, "EUR"]


def test_upcasters_run_before_a_struct_is_read() -> None:
    class Priced(msgspec.Struct):
        total: int
        currency: str

    totals: Projection[list[Any]] = Projection("totals", initial=list, upcasters=upcasters())

    @totals.on("OrderPlaced", model=Priced)
    def placed(state: list[Any], event: Event[Priced]) -> list[Any]:
        return [*state, event.type, event.data.total, event.data.currency]

    assert totals.fold([PLACED]) == ["OrderPlaced", 500, "EUR"]


def test_an_upcaster_that_raises_is_a_fold_failed() -> None:
    orders: Projection[list[Any]] = Projection("orders", initial=list, upcasters=upcasters())
    orders.on("OrderPlaced")(lambda state, _: state)
    with pytest.raises(FoldFailed, match="KeyError"):
        orders.fold([event("OrderCreated", stream="order-17", time="2026-03-01T11:00:00Z")])
