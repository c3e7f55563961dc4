"""The ingestion function behind a proxy that loses requests and answers: a success is a stored event, all else raises.

Botocore waits between its attempts; here it does not, so that thousands of faults take seconds.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.config import Config
from botocore.retries.standard import ExponentialBackoff

from eventsourcing_kit import open_store
from eventsourcing_kit.errors import StoreUnavailable
from tests.lambda_context import Function, batch, cold_start, envelope, settings_for
from tests.proxy import FAULTS, Fault, faulty_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.proxy import FaultyProxy

EVENTS: Final = 400  # 2,000 are what is promised, and take five times as long
SHARE: Final = 0.4  # of requests that are struck
ATTEMPTS: Final = 5  # of the store for one put


@pytest.fixture
def table(dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty table, and clients that neither wait nor have much patience."""
    with open_store(dynamodb_url) as store:
        store.create_table()
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)
    from eventsourcing_kit.stores import dynamodb

    monkeypatch.setattr(dynamodb, "_CONFIG", dynamodb._CONFIG.merge(Config(read_timeout=1)))
    return dynamodb_url


def behind(proxy: FaultyProxy, table: str) -> AbstractContextManager[Function]:
    """The function, with `proxy` between it and the table."""
    return cold_start({**settings_for(table), "AWS_ENDPOINT_URL_DYNAMODB": proxy.url})


def endpoint_of(table: str) -> str:
    return parse_qs(urlsplit(table).query)["endpoint_url"][0]


def script(*faults: Fault | None) -> Callable[[], Fault | None]:
    """These faults for the first requests, and none for those behind them."""
    remaining = iter(faults)
    return lambda: next(remaining, None)


def ids(table: str) -> list[str]:
    with open_store(table) as store:
        return [event.id for event in store.read("order-17")]


@pytest.fixture(autouse=True)
def _nothing_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests count the puts of old moments, by today's clock: no marker shall be among them."""
    monkeypatch.setattr("eventsourcing_kit.stores.base._LATE", 10**30)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_put_that_is_struck_once_is_stored_and_no_duplicate(table: str, fault: Fault) -> None:
    with faulty_proxy(endpoint_of(table), script(fault)) as proxy, behind(proxy, table) as function:
        assert function(envelope(1)) == {"stored": 1, "duplicate": 0, "refused": 0}
        assert (proxy.passed, proxy.struck) == (1, {fault: 1})
    assert ids(table) == ["e-1"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_twins_put_that_is_struck_once_is_stored_and_no_duplicate(table: str, fault: Fault) -> None:
    with faulty_proxy(endpoint_of(table), script(None, None, fault)) as proxy, behind(proxy, table) as function:
        function(envelope(1))
        assert function(envelope(2)) == {"stored": 1, "duplicate": 0, "refused": 0}
        assert (proxy.passed, proxy.struck) == (3, {fault: 1})
        assert function.metrics["Twins"] == 1
    assert sorted(ids(table)) == ["e-1", "e-2"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_put_that_is_struck_at_every_attempt_raises(table: str, fault: Fault) -> None:
    with faulty_proxy(endpoint_of(table), script(*[fault] * ATTEMPTS)) as proxy, behind(proxy, table) as function:
        with pytest.raises(StoreUnavailable):
            function(envelope(1))
        assert (proxy.passed, proxy.struck) == (0, {fault: ATTEMPTS})
        assert function(envelope(1))["refused"] == 0
    assert ids(table) == ["e-1"]


def test_an_array_that_fails_in_the_middle_raises_and_is_whole_when_it_comes_again(table: str) -> None:
    faults: list[Fault | None] = [None, *["throttled"] * ATTEMPTS]  # type: ignore[list-item]  # a Fault, each
    array = [envelope(number, time=f"2026-03-01T11:03:2{number}.000Z") for number in range(3)]
    with faulty_proxy(endpoint_of(table), script(*faults)) as proxy, behind(proxy, table) as function:
        with pytest.raises(StoreUnavailable, match="ProvisionedThroughputExceededException"):
            function(array)
        assert ids(table) == ["e-0"]
        assert function(array) == {"stored": 2, "duplicate": 1, "refused": 0}
    assert ids(table) == ["e-0", "e-1", "e-2"]


def mixed(chance: random.Random) -> Iterator[Fault | None]:
    """ "slow" is rarer than the others, as each of those takes a second."""
    while True:
        (fault,) = chance.choices(FAULTS, weights=[1 if fault == "slow" else 10 for fault in FAULTS])
        yield fault if chance.random() < SHARE else None


def test_every_success_is_in_the_table_once_and_every_failure_was_raised(table: str) -> None:
    """Eight puts at once; a message that comes back is delivered again, and one in five is delivered twice anyway."""
    chance = random.Random(17)  # noqa: S311
    waiting = [number for number in range(EVENTS) for _ in range(1 + (chance.random() < 0.2))]
    chance.shuffle(waiting)
    outcomes: dict[int, Counter[str]] = defaultdict(Counter)
    first: dict[int, set[str]] = {}  # what the deliveries of an event's first batch came to
    faults = mixed(random.Random(18))  # noqa: S311
    with faulty_proxy(endpoint_of(table), lambda: next(faults)) as proxy, behind(proxy, table) as function:
        while waiting:
            now, waiting = waiting[:100], waiting[100:]
            results = deliver(function, now)
            for number, came_to in results:
                outcomes[number][came_to] += 1
                if came_to == "failed":
                    waiting.append(number)
            for number in {number for number, _ in results}:
                first.setdefault(number, {came_to for other, came_to in results if other == number})
        struck, passed = proxy.struck, proxy.passed

    assert Counter(ids(table)) == Counter(f"e-{number}" for number in range(EVENTS))
    for number in range(EVENTS):
        # A failed put may have been applied; else exactly one delivery has stored the event, and an early one.
        assert outcomes[number]["stored"] == 1 or (outcomes[number]["stored"] == 0 and outcomes[number]["failed"])
        assert first[number] & {"stored", "failed"}
    assert sum(outcome["failed"] for outcome in outcomes.values())
    assert set(struck) == set(FAULTS)
    assert 0.35 < struck.total() / (struck.total() + passed) < 0.45


def deliver(function: Function, numbers: list[int]) -> list[tuple[int, str]]:
    """What each delivery of one batch came to."""
    function.forget()
    failed = function.failed(batch(event(number) for number in numbers))
    told: Counter[tuple[int, str]] = Counter()
    for line in function.lines:
        outcome: Any = line["outcome"]
        name = "failed" if outcome == "StoreUnavailable" else str(outcome)
        told[int(line["event_id"].removeprefix("e-")), name] += 1
    assert Counter(int(numbers[int(message.removeprefix("m-"))]) for message in failed) == Counter(
        {number: count for (number, outcome), count in told.items() if outcome == "failed"}
    )
    assert told.total() == len(numbers)
    return list(told.elements())


def event(number: int) -> dict[str, Any]:
    """Two fall into each millisecond, so that twins are struck as well."""
    return envelope(number, time=f"2026-03-01T11:03:{number // 2_000:02d}.{number // 2 % 1_000:03d}Z")
