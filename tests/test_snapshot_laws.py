"""The law of snapshots: whatever came between, a rebuild with them is the rebuild without them, byte for byte, and the
steps of a history are the same.

A machine appends events, in time and late, twins and duplicates, by writers whose clocks are slow or whose puts take
long; lets events expire; changes the code; and rebuilds at any moment, or steps through what came from one on. It was
seen to fail with rules of `resuming` broken on purpose: no markers, no room for clocks, no 48 hours, the fingerprint
ignored, an expired beginning ignored.
"""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from eventsourcing_kit import Event, Projection, history, open_store, rebuild
from eventsourcing_kit.errors import EventExpired, EventSourcingError, FoldFailed
from eventsourcing_kit.moment import from_rfc3339, to_canonical, to_microseconds
from eventsourcing_kit.outcomes import Rebuilt
from eventsourcing_kit.output import to_json
from eventsourcing_kit.testing import Clock, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.stores.base import BaseStore

HOUR: Final = 3_600_000_000_000
BEGIN: Final = from_rfc3339("2026-03-01T00:00:00Z")
TYPES: Final = ("Added", "Added", "Noted", "Unknown", "Poison")
RUNS: Final = int(os.environ.get("ESKIT_TEST_SNAPSHOT_RUNS", "200"))


@dataclass(frozen=True)
class Line:
    number: int
    key: str


@dataclass
class Book:
    total: int = 0
    lines: list[Line] = field(default_factory=list)


def plainly(number: int) -> int:
    return number


def doubled(number: int) -> int:
    return 2 * number


def book(weigh: Any, *, keyed: bool) -> Projection[Any, Any]:
    """What it folds to depends on the order of its events, on each of them, and on a function behind a closure."""
    options: dict[str, Any] = {"key": lambda event: f"of {event.data['n'] % 3}"} if keyed else {}
    projection: Projection[Any, Any] = Projection("book", initial=Book, **options)

    @projection.on("Added", "Noted")
    def added(state: Book, event: Event) -> Book:
        if event.type == "Noted":
            return replace(state, total=31 * state.total % 1_000_003)
        state.lines = [*state.lines, Line(weigh(event.data["n"]), event.key)]
        state.total = (7 * state.total + weigh(event.data["n"])) % 1_000_003
        return state

    @projection.on("Poison")
    def poisoned(state: Book, event: Event) -> Book:
        raise ValueError

    return projection


def shown(projection: Projection[Any, Any], rebuilt: Rebuilt[Any]) -> tuple[str, object]:
    return to_json(projection, rebuilt), rebuilt.last


class Snapshots(RuleBasedStateMachine):
    """One stream. `now` is the true time; each writer's clock may be behind it, as it may be slow, or its put late."""

    url = "sqlite://"

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(to_canonical(BEGIN + 24 * HOUR))
        self.number = 0
        self.sent: list[Event] = []
        self.weigh: Any = plainly
        self.keyed = False
        self.used = 0
        self.stepped = 0  # histories that began at a snapshot
        self.store: BaseStore

    @initialize(retention=st.sampled_from([None, 7, 14]), keyed=st.booleans())
    def opens(self, retention: int | None, keyed: bool) -> None:
        mark = "&" if "?" in self.url else "?"
        url = self.url if retention is None else f"{self.url}{mark}retention_days={retention}"
        self.store = open_store(url, clock=self.clock)
        self.keyed = keyed

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    @property
    def now(self) -> int:
        return self.clock()

    def _set(self, ns: int) -> None:
        self.clock.set(to_canonical(ns))

    def _append(self, moment: int, kind: str, behind: int) -> None:
        """A put that is done now, and was stamped so many hours ago, or by a clock that is so much behind."""
        self.number += 1
        new = event(kind, id=f"e{self.number}", stream="s", time=to_canonical(moment), n=self.number)
        self.sent.append(new)
        self._put(new, behind)

    def _put(self, new: Event, behind: int) -> None:
        now = self.now
        self._set(now - behind * HOUR)
        try:
            self.store.append(new)
        except EventExpired:
            pass
        finally:
            self._set(now)

    @rule(kind=st.sampled_from(TYPES[:4]), ago=st.integers(0, 23), count=st.integers(1, 4))
    def appends(self, kind: str, ago: int, count: int) -> None:
        for number in range(count):
            self._append(self.now - ago * HOUR - number, kind, behind=0)

    @rule(ago=st.integers(0, 47), behind=st.integers(0, 23))
    def appends_slowly(self, ago: int, behind: int) -> None:
        self._append(self.now - ago * HOUR, "Added", behind)

    @rule(kind=st.sampled_from(TYPES), ago=st.integers(25, 400), behind=st.integers(0, 23))
    def appends_late(self, kind: str, ago: int, behind: int) -> None:
        self._append(self.now - ago * HOUR, kind, behind)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), behind=st.integers(0, 23))
    def appends_beside_another(self, data: st.DataObject, behind: int) -> None:
        """A twin, or one before or behind another event of its millisecond."""
        other = data.draw(st.sampled_from(self.sent))
        self._append(other.moment_ns + data.draw(st.sampled_from([-1, 0, 0, 1])), other.type, behind)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def sends_again(self, data: st.DataObject) -> None:
        self._put(data.draw(st.sampled_from(self.sent)), behind=0)

    @rule(hours=st.sampled_from([1, 5, 13, 24, 30, 50, 80, 170]))
    def waits(self, hours: int) -> None:
        self._set(self.now + hours * HOUR)

    @rule()
    def changes_the_code(self) -> None:
        self.weigh = doubled if self.weigh is plainly else plainly

    @rule(
        ago=st.none() | st.integers(-5, 300),
        known=st.none() | st.none() | st.integers(0, 300),
        every=st.sampled_from([1, 1, 2, 3, "auto"]),
        skip=st.booleans(),
        allow=st.booleans(),
    )
    def rebuilds(self, ago: int | None, known: int | None, every: Any, skip: bool, allow: bool) -> None:
        self._rebuild(ago, known, every, skip, allow)

    @rule(every=st.sampled_from([1, 2]))
    def settles_and_rebuilds(self, every: int) -> None:
        """As most rebuilds are: so long after the last event that a snapshot may cover it."""
        self._set(self.now + 80 * HOUR)
        self._rebuild(None, None, every, skip=True, allow=True)

    def _rebuild(self, ago: int | None, known: int | None, every: Any, skip: bool, allow: bool) -> None:
        options: dict[str, Any] = {
            "at": None if ago is None else to_canonical(self.now - ago * HOUR),
            "known_at": None if known is None else to_microseconds(self.now - known * HOUR),
            "on_error": "skip" if skip else "raise",
            "allow_incomplete": allow,
            "clock": self.clock,
        }
        expected = self._answer(options, None)
        assert self._answer(options, every) == expected
        assert self._answer(options, every) == expected  # which may start from what the one before has saved

    @rule(
        start=st.none() | st.integers(-5, 300) | st.sampled_from(["event:2", "event:5", "event:9"]),
        at=st.none() | st.none() | st.integers(-5, 300) | st.sampled_from(["event:4", "event:10"]),
        known=st.none() | st.none() | st.integers(0, 300),
        every=st.sampled_from([1, 1, 2, 3]),
        allow=st.booleans(),
    )
    def steps(self, start: Any, at: Any, known: int | None, every: Any, allow: bool) -> None:
        options: dict[str, Any] = {
            "start": to_canonical(self.now - start * HOUR) if isinstance(start, int) else start,
            "at": to_canonical(self.now - at * HOUR) if isinstance(at, int) else at,
            "known_at": None if known is None else to_microseconds(self.now - known * HOUR),
            "allow_incomplete": allow,
            "clock": self.clock,
        }
        expected = list(self._steps(options, None))
        assert list(self._steps(options, every)) == expected
        assert list(self._steps(options, every)) == expected

    def _steps(self, options: dict[str, Any], snapshots: Any) -> Iterator[object]:
        projection = book(self.weigh, keyed=self.keyed)
        read = self.store.read

        def reads(*arguments: Any, **window: Any) -> Any:
            self.stepped += window.get("start") is not None  # which a walk from the beginning never asks for
            return read(*arguments, **window)

        self.store.read = reads  # type: ignore[method-assign]
        try:
            for step in history(projection, self.store, "s", snapshots=snapshots, **options):
                yield step.number, step.event, step.folded, step.document, step.patch, step.state
        except FoldFailed as failed:
            yield str(failed), failed.number, failed.event, projection.to_json(failed.state)
        except EventSourcingError as error:
            yield str(error)
        finally:
            self.store.read = read  # type: ignore[method-assign]

    def _answer(self, options: dict[str, Any], snapshots: Any) -> object:
        projection = book(self.weigh, keyed=self.keyed)
        try:
            rebuilt = rebuild(projection, self.store, "s", snapshots=snapshots, **options)
        except FoldFailed as failed:
            return str(failed), projection.to_json(failed.state)
        except EventSourcingError as error:
            return str(error)
        self.used += rebuilt.snapshot is not None
        return shown(projection, rebuilt)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="eventsourcing_kit")


def runs(count: int, *, steps: int) -> settings:
    return settings(max_examples=count, stateful_step_count=steps, suppress_health_check=list(HealthCheck))


def test_with_snapshots_an_answer_is_the_same_as_without_on_sqlite() -> None:
    used = stepped = 0

    class OnSQLite(Snapshots):
        def teardown(self) -> None:
            nonlocal used, stepped
            used += self.used
            stepped += self.stepped
            super().teardown()

    run_state_machine_as_test(OnSQLite, settings=runs(RUNS, steps=50))
    assert used > RUNS // 4  # or it would prove nothing
    assert stepped > RUNS // 10


def test_with_snapshots_an_answer_is_the_same_as_without_on_dynamodb(
    dynamodb_endpoint: str, dynamodb_client: Any
) -> None:
    used = 0
    tables: list[str] = []

    class OnDynamoDB(Snapshots):
        def __init__(self) -> None:
            tables.append(f"eskit-test-{secrets.token_hex(8)}")
            self.url = (
                f"dynamodb://{tables[-1]}?region=eu-west-1&endpoint_url={quote(dynamodb_endpoint, safe='')}"
                f"&snapshots={tables[-1]}-kept"
            )
            super().__init__()

        @initialize(retention=st.sampled_from([None, 7]), keyed=st.booleans())
        def opens(self, retention: int | None, keyed: bool) -> None:
            super().opens(retention, keyed)
            self.store.create_table()
            self.store.create_snapshots_table()  # type: ignore[attr-defined]  # both stores have it

        def teardown(self) -> None:
            nonlocal used
            used += self.used
            super().teardown()
            for name in (tables[-1], f"{tables[-1]}-kept"):
                dynamodb_client.delete_table(TableName=name)

    run_state_machine_as_test(
        OnDynamoDB,
        settings=settings(
            max_examples=max(1, RUNS // 20),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert used
