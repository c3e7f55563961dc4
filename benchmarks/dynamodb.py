"""Rebuilding from DynamoDB beside boto3's Table and the same fold: what the client costs, without any server's work.

Without latency, figures are of the processor time of this process. What waits for the network is by the wall clock, and
so is what it is compared with.
"""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import boto3
import msgspec
from boto3.dynamodb.conditions import Key
from botocore.config import Config

from benchmarks.finding import Finding, over
from benchmarks.measuring import Case, Figures, note, show, take_turns
from benchmarks.responder import REGION, TABLE, items_of, responder
from benchmarks.workload import UNITS_HANDLERS, events, recording_clock, stream_names, typed_units, units
from eventsourcing_kit import open_store, rebuild, rebuild_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.scale import Scale
    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["measure"]

AIMS: Final = {"typed": 13, "untyped": 11}  # times boto3's speed
DIRECT: Final = {"typed": 17, "untyped": 12}  # with the direct transport
WAITING: Final = {1: 1.7, 8: 1.6}  # times the time without latency, by connections
MANY: Final = 4  # times boto3's speed in threads, with either transport
LATENCY: Final = 0.005

_DIRECT: Final = "transport=direct"  # in a store's URL
_LONG: Final = "sku-1"
_CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def measure(scale: Scale, place: Path) -> Iterator[Finding]:  # noqa: ARG001 - there are no files
    """One long stream, and many short ones."""
    long = scale.pick(tiny=2_000, usual=100_000, full=100_000)
    many = stream_names(scale.pick(tiny=40, usual=600, full=600))
    note(f"making a stream of {long:,} events and {len(many):,} streams of 10")
    table = {stream: items_of(events(stream, 10)) for stream in many}
    table[_LONG] = items_of(events(_LONG, long))
    with patch.dict(os.environ, _CREDENTIALS), responder(table, [0, LATENCY]) as (near, far):
        yield from _long(near, far, long, rounds=scale.rounds)
        yield from _many(far, many, threads=scale.pick(tiny=4, usual=32, full=32), rounds=scale.rounds)


def _long(near: str, far: str, count: int, *, rounds: int) -> Iterator[Finding]:
    table = _table(near)
    with (
        _store(near) as store,
        _store(near, _DIRECT) as direct,
        _store(far, "connections=1") as slow,
        _store(far, "connections=8") as wide,
    ):
        _compare([_over_table(table, _LONG), *(rebuild(each, store, _LONG).state for each in (units, typed_units))])

        def case(name: str, run: Callable[[], object], clock: Callable[[], float] = time.process_time) -> Case:
            return Case(Figures(name, clock=clock), run, count)

        cases = {
            "typed": case("kit: rebuild, typed", lambda: rebuild(typed_units, store, _LONG)),
            "untyped": case("kit: rebuild, untyped", lambda: rebuild(units, store, _LONG)),
            "boto3": case("boto3: Table.query, json.loads, the same fold", lambda: _over_table(table, _LONG)),
            "typed, direct": case("kit: direct, typed", lambda: rebuild(typed_units, direct, _LONG)),
            "untyped, direct": case("kit: direct, untyped", lambda: rebuild(units, direct, _LONG)),
            "near": case("kit: typed, no latency", lambda: rebuild(typed_units, store, _LONG), time.perf_counter),
            "1": case("kit: typed, 5 ms a page", lambda: rebuild(typed_units, slow, _LONG), time.perf_counter),
            "8": case(
                "kit: typed, 5 ms a page, 8 connections", lambda: rebuild(typed_units, wide, _LONG), time.perf_counter
            ),
        }
        take_turns(list(cases.values()), rounds=rounds)
    figures = {name: each.figures for name, each in cases.items()}
    waiting = [each for name, each in figures.items() if name in ("near", "1", "8")]
    show("query, decode, fold (processor)", [each for each in figures.values() if each not in waiting], name="typed")
    show("the same with latency (wall clock)", waiting, name="no latency")
    for aims, transport in ((AIMS, ""), (DIRECT, ", direct")):
        for kind, aim in aims.items():
            ratio = over(figures["boto3"], figures[kind + transport])
            yield Finding.of(f"DynamoDB, {count:,} events, {kind}{transport}: over boto3", ratio, at_least=aim)
    for connections, most in WAITING.items():
        name = f"DynamoDB, 5 ms a page over none, connections: {connections}"
        yield Finding.of(name, over(figures[str(connections)], figures["near"]), at_most=most)


def _many(far: str, streams: Sequence[str], *, threads: int, rounds: int) -> Iterator[Finding]:
    """600 streams, each a request; boto3 in threads, each of them with a Table of its own, as its pages advise."""
    local = threading.local()

    def in_thread(stream: str) -> int:
        if not hasattr(local, "table"):
            local.table = _table(far)
        return _over_table(local.table, stream)

    with _store(far) as store, _store(far, _DIRECT) as direct, ThreadPoolExecutor(threads) as pool:
        all_there = threading.Barrier(threads)
        list(pool.map(lambda _: (all_there.wait(), in_thread(streams[0])), range(threads)))  # each makes its table

        def ours(store: BaseStore) -> list[int]:
            return [each.state for each in rebuild_all(units, store, streams=streams)]

        def theirs() -> list[int]:
            return list(pool.map(in_thread, streams))

        stores = {"": store, ", direct": direct}
        _compare([theirs(), *map(ours, stores.values())])
        count = 10 * len(streams)
        kit = {
            transport: Case(Figures(f"kit: rebuild_all{transport}"), partial(ours, each), count)
            for transport, each in stores.items()
        }
        boto3_ = Case(Figures(f"boto3: Table.query in {threads} threads"), theirs, count)
        take_turns([*kit.values(), boto3_], rounds=rounds)
    figures = [case.figures for case in (*kit.values(), boto3_)]
    show(f"{len(streams):,} streams of 10, 5 ms a request (wall clock)", figures, name="rebuild_all")
    for transport, case in kit.items():
        name = f"DynamoDB, {len(streams):,} streams of 10, 5 ms each{transport}: over boto3 in {threads} threads"
        yield Finding.of(name, over(boto3_.figures, case.figures), at_least=MANY)


def _over_table(table: Any, stream: str) -> int:
    """What people write without a kit."""
    state, request = 0, {"KeyConditionExpression": Key("pk").eq(stream), "ConsistentRead": True}
    while True:
        page = table.query(**request)
        for item in page["Items"]:
            state = UNITS_HANDLERS[item["detailType"]](state, _Decoded(json.loads(item["eventDetail"])["data"]))
        if "LastEvaluatedKey" not in page:
            return state
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


class _Decoded(msgspec.Struct, gc=False):
    data: Any


def _table(endpoint: str) -> Any:
    config = Config(retries={"mode": "standard"})
    session = boto3.session.Session()  # of its own: threads must not share one
    return session.resource("dynamodb", region_name=REGION, endpoint_url=endpoint, config=config).Table(TABLE)


def _store(endpoint: str, more: str = "") -> BaseStore:
    url = f"dynamodb://{TABLE}?region={REGION}&endpoint_url={endpoint}{more and '&'}{more}"
    return open_store(url, clock=recording_clock)


def _compare(states: Sequence[object]) -> None:
    """Figures of sides that do not do the same would be worth nothing."""
    if any(state != states[0] for state in states):
        raise SystemExit("the sides do not come to the same state")
