"""The worked examples in `projections/`, each as its author would test it."""

from __future__ import annotations

import pytest

from eventsourcing_kit.testing import event, given
from projections.git_tree import tree
from projections.shop import Order, Stock, orders, refunds, stock

PLACED = event("OrderPlaced", total=6480, customer="customer-007")
CAPTURED = event("PaymentCaptured", amount=6480)
SHIPPED = event("OrderShipped", parcel="parcel-0017")
CANCELLED = event("OrderCancelled", reason="changed my mind")
REFUNDED = event("PaymentRefunded", cancellation="c-1", amount=6480)


def test_an_order_that_was_placed_owes_its_total() -> None:
    given(orders, PLACED).then(Order(status="placed", total=6480))


def test_an_order_that_was_paid_and_shipped_keeps_its_money() -> None:
    given(orders, PLACED, CAPTURED, SHIPPED).then(Order(status="shipped", total=6480, paid=6480, balance=6480))


def test_a_refund_brings_the_balance_of_a_cancelled_order_to_nothing() -> None:
    given(orders, PLACED, CAPTURED, CANCELLED, REFUNDED).then(
        Order(status="cancelled", total=6480, paid=6480, refunded=6480, balance=0)
    )


def test_a_second_refund_makes_the_balance_negative() -> None:
    given(orders, PLACED, CAPTURED, CANCELLED, REFUNDED, REFUNDED).then(
        Order(status="cancelled", total=6480, paid=6480, refunded=12960, balance=-6480)
    )


def test_an_order_without_a_total_is_no_order() -> None:
    failed = given(orders, event("OrderPlaced", customer="customer-007")).then_raises()
    assert failed.fields == ("total (missing)",)


def test_refunds_are_summed_up_for_each_cancellation() -> None:
    other = event("PaymentRefunded", cancellation="c-2", amount=500)
    given(refunds, PLACED, CAPTURED, CANCELLED, REFUNDED, other, REFUNDED).then({"c-1": 12960, "c-2": 500})


def test_an_order_without_refunds_has_none() -> None:
    given(refunds, PLACED, CAPTURED, SHIPPED).then({})


def test_refunds_know_every_type_so_that_they_warn_of_none() -> None:
    assert refunds.handles("OrderPlaced")


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["StockReceived"], Stock(on_hand=3, reserved=0)),
        (["StockReceived", "StockReserved"], Stock(on_hand=3, reserved=3)),
        (["StockReceived", "StockReserved", "StockReleased"], Stock(on_hand=3, reserved=0)),
        (["StockReceived", "StockReserved", "StockShipped"], Stock(on_hand=0, reserved=0)),
    ],
)
def test_stock_is_reserved_until_it_is_released_or_shipped(types: list[str], expected: Stock) -> None:
    given(stock, *(event(type_, stream="sku-mug", quantity=3) for type_ in types)).then(expected)


def test_a_tree_has_the_files_that_were_written_and_not_deleted() -> None:
    given(
        tree,
        event("FileAdded", path="README.md", blob="a1"),
        event("FileAdded", path="setup.py", blob="b1"),
        event("FileModified", path="README.md", blob="a2"),
        event("FileDeleted", path="setup.py", blob=None),
    ).then({"README.md": "a2"})
