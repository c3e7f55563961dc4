"""What makes two arrivals the same fact: the content by value, never its spelling."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.envelope import parse
from eventsourcing_kit.testing.contract.base import Contract, ids

if TYPE_CHECKING:
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Store

__all__ = ["Equality"]


def measured(data: str, *, id: str, time: str = "2026-03-01T11:03:27Z", source: str = "shop") -> Event:  # noqa: A002
    return parse(
        f'{{"id": "{id}", "detail-type": "Measured", "source": "{source}", "time": "{time}",'
        f' "detail": {{"primaryKey": "order-17", "data": {data}}}}}'
    )


class Equality(Contract):
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ('{"n": 1}', '{"n": 1.0}'),
            ('{"n": 100}', '{"n": 1e2}'),
            ('{"n": 1e2}', '{"n": 1E+2}'),
            ('{"n": 0.1}', '{"n": 0.10}'),
            ('{"n": 0}', '{"n": -0.0}'),
            ('{"n": 1e400}', '{"n": 10e399}'),
            ('{"n": 123456789012345678901234567890}', '{"n": 1.2345678901234567890123456789e29}'),
            ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
            ('{"a": {"b": [1, {"c": 2, "d": 3}]}}', '{"a": {"b": [1, {"d": 3, "c": 2}]}}'),
            ('{"a": [1, 2]}', '{ "a" :\n[ 1 ,\t2 ] }'),
            (r'{"a": "\u00e9"}', '{"a": "é"}'),
            (r'{"a": "\ud83d\ude00"}', '{"a": "😀"}'),
            (r'{"a": "\/"}', '{"a": "/"}'),
            (r'{"\u0061": 1}', '{"a": 1}'),
            (r'{"a": "\ud83d"}', r'{"a": "\uD83D"}'),
        ],
    )
    def test_one_fact_in_two_spellings_is_a_duplicate(self, store: Store, first: str, second: str) -> None:
        store.append(measured(first, id="e-1"))
        outcome = store.append(measured(second, id="e-2"))
        assert outcome == "duplicate"
        assert outcome.other_id == "e-1"

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ('{"n": 1}', '{"n": 2}'),
            ('{"n": 1}', '{"n": "1"}'),
            ('{"n": 1}', '{"n": true}'),
            ('{"n": 0}', '{"n": false}'),
            ('{"n": 1}', '{"n": -1}'),
            ('{"n": null}', "{}"),
            ('{"n": []}', '{"n": {}}'),
            ('{"n": ""}', '{"n": null}'),
            ('{"n": 9007199254740992}', '{"n": 9007199254740993}'),
            ('{"n": 0.1}', '{"n": 0.1000000000000000000001}'),
            ('{"n": 1e400}', '{"n": 1e401}'),
            ('{"n": [1, 2]}', '{"n": [2, 1]}'),
            ('{"a": "é"}', '{"a": "e\u0301"}'),
            ('{"a": "x"}', '{"a": "X"}'),
            ('{"a": "x"}', '{"a": "x "}'),
            (r'{"a": "\ud83d"}', r'{"a": "\ud83e"}'),
            (r'{"a": "\u0000"}', '{"a": ""}'),
            ('{"a": {"b": 1}, "c": 2}', '{"a": {"b": 1, "c": 2}}'),
        ],
    )
    def test_two_facts_in_one_millisecond_are_two_events(self, store: Store, first: str, second: str) -> None:
        assert store.append(measured(first, id="e-1")) == "stored"
        assert store.append(measured(second, id="e-2")) == "stored"
        assert sorted(ids(store.read("order-17"))) == ["e-1", "e-2"]

    def test_one_content_of_two_sources_is_two_events(self, store: Store) -> None:
        assert store.append(measured("{}", id="e-1", source="shop")) == "stored"
        assert store.append(measured("{}", id="e-2", source="stock")) == "stored"

    def test_one_content_a_nanosecond_later_is_another_event(self, store: Store) -> None:
        assert store.append(measured("{}", id="e-1", time="2026-03-01T11:03:27.000000001Z")) == "stored"
        assert store.append(measured("{}", id="e-2", time="2026-03-01T11:03:27.000000002Z")) == "stored"

    def test_one_moment_in_two_spellings_is_one_moment(self, store: Store) -> None:
        store.append(measured("{}", id="e-1", time="2026-03-01T11:03:27Z"))
        assert store.append(measured("{}", id="e-2", time="2026-03-01T12:03:27.000+01:00")) == "duplicate"
