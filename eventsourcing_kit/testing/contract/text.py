"""Texts as people and programs really send them: kept byte for byte, and compared so."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from eventsourcing_kit.envelope import parse
from eventsourcing_kit.stores.contract import Counts
from eventsourcing_kit.testing.contract.base import Contract, ids, shown
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from eventsourcing_kit.stores.contract import Store

__all__ = ["Text"]

HOSTILE: Final = (
    "a",
    " ",
    " leading",
    "trailing ",
    "UPPER",
    "#",
    "#head",
    "##",
    "a#b##c",
    "a/b?c=d&e",
    "100%",
    "_",
    "*",
    "' OR 1=1 --",
    '"quoted"',
    "back\\slash",
    ":value",
    "line\nbreak",
    "\r\n",
    "tab\t",
    "\x00",
    "nul\x00inside",
    "\x1b[31mred",
    "\x7f",
    "\u0085",
    "\u2028",
    "\ufeffmark",
    "\u202eright to left",
    "e\u0301",
    "é",
    "ß",
    "\uffff",
    "😀",
    "👩\u200d👩\u200d👧",
    "\U0010ffff",
    "null",
    "2026-03-01T11:03:27.000Z#OrderPlaced",
)

PAIRS: Final = (
    ("order", "Order"),
    ("order", "order "),
    ("order", " order"),
    ("order", "order\x00"),
    ("order", "order\n"),
    ("é", "e\u0301"),
    ("Å", "\u212b"),
    ("ß", "ss"),
    ("ﬁ", "fi"),
    ("1", "１"),
    ("a", "а"),
    ("I", "ı"),
)

DETAILS: Final = {
    "lone surrogate": r'{"primaryKey":"order-17","text":"\ud83d and \udc00"}',
    "surrogate as a name": r'{"primaryKey":"order-17","\udfff":1}',
    "NUL": r'{"primaryKey":"order-17","te\u0000xt":"\u0000"}',
    "control characters": r'{"primaryKey":"order-17","text":"\u0001\b\f\n\r\t\u001b\u001f"}',
    "quotes": r'{"primaryKey":"order-17","te\"xt":"\\\"/"}',
    "every plane": '{"primaryKey":"order-17","text":"é\u2028\uffff😀\U0010ffff"}',
    "DEL": '{"primaryKey":"order-17","text":"\x7f\x85"}',
    "empty things": '{"primaryKey":"order-17","":"","a":[],"o":{},"n":null}',
    "names of ours": '{"primaryKey":"order-17","pk":"x","sk":"#head","eventDetail":"y","data":[]}',
    "names of JavaScript": '{"primaryKey":"order-17","__proto__":{"a":1},"constructor":null}',
    "a type tag": '{"primaryKey":"order-17","S":{"S":"x"},"N":{"N":"1"}}',
    "order of members": '{"z":1,"primaryKey":"order-17","a":2,"m":3}',
    "600 levels": '{"primaryKey":"order-17","deep":' + "[" * 599 + "]" * 599 + "}",
    "a long name": '{"primaryKey":"order-17","' + "n" * 70_000 + '":1}',
}


class Text(Contract):
    @pytest.mark.parametrize("text", HOSTILE, ids=shown)
    def test_any_text_names_a_stream(self, store: Store, text: str) -> None:
        arrived = event("OrderPlaced", stream=text)
        assert store.append(arrived) == "stored"
        assert list(store.streams()) == [text]
        assert list(store.read(text)) == [arrived]

    def test_streams_of_any_name_stand_beside_each_other(self, store: Store) -> None:
        events = [event("OrderPlaced", stream=text) for text in HOSTILE]
        assert store.append_many(events) == Counts(stored=len(HOSTILE))
        assert list(store.streams()) == sorted(HOSTILE, key=str.encode)
        assert [list(store.read(text)) for text in HOSTILE] == [[each] for each in events]

    @pytest.mark.parametrize("text", HOSTILE, ids=shown)
    def test_any_text_names_a_type(self, store: Store, text: str) -> None:
        arrived = event(text)
        assert store.append(arrived) == "stored"
        assert store.append(arrived) == "duplicate"
        assert list(store.read("order-17", at="2026-03-01T11:03:27Z", types=[text])) == [arrived]

    @pytest.mark.parametrize("text", HOSTILE[::4], ids=shown)
    def test_any_text_is_an_id_a_source_and_a_correlation(self, store: Store, text: str) -> None:
        arrived = event("OrderPlaced", id=text, source=text, metadata={"correlationId": text, "causationId": text})
        assert store.append(arrived) == "stored"
        (found,) = store.read("order-17")
        assert (found.id, found.source, found.correlation_id, found.causation_id) == (text, text, text, text)

    @pytest.mark.parametrize(("one", "other"), PAIRS, ids=shown)
    def test_streams_that_look_alike_are_two(self, store: Store, one: str, other: str) -> None:
        store.append(event("OrderPlaced", stream=one, id="one"))
        store.append(event("OrderPlaced", stream=other, id="other"))
        assert ids(store.read(one)) == ["one"]
        assert ids(store.read(other)) == ["other"]
        assert len(list(store.streams())) == 2

    @pytest.mark.parametrize(("one", "other"), PAIRS, ids=shown)
    def test_types_that_look_alike_are_two(self, store: Store, one: str, other: str) -> None:
        assert store.append(event(one, id="one")) == "stored"
        assert store.append(event(other, id="other")) == "stored"
        assert ids(store.read("order-17", types=[one])) == ["one"]
        assert ids(store.read("order-17", types=[other])) == ["other"]

    @pytest.mark.parametrize("detail", DETAILS.values(), ids=list(DETAILS))
    def test_a_detail_is_read_as_it_arrived(self, store: Store, detail: str) -> None:
        arrived = parse(
            '{"id": "e-1", "detail-type": "OrderPlaced", "source": "shop", "time": "2026-03-01T11:03:27Z",'
            f' "detail": {detail}}}'
        )
        assert [store.append(arrived), store.append(arrived)] == ["stored", "duplicate"]
        (found,) = store.read("order-17")
        assert found.detail_json == detail
        assert found.detail == arrived.detail
