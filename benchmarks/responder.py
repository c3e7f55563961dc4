"""A rebuild over DynamoDB beside boto3's Table and the same fold: what the client costs, without any server's work.

    python -m benchmarks.responder                     one stream of 20,000 events: a minute
    python -m benchmarks.responder --events 100000     the stream of the README's figures: five minutes

A process on 127.0.0.1 answers with canned pages of 1 MB, as DynamoDB would cut them; each event has a detail of 400
bytes and all attributes that the kit writes. Each case runs once in each round. Processor time is this process's;
cases with a latency are by the wall clock, and so is what they are compared with.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socketserver
import time
import zlib
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import boto3
import msgspec
from boto3.dynamodb.conditions import Key
from botocore.config import Config

from benchmarks import machine
from benchmarks.measuring import Case, Figures, note, say, show, take_turns
from benchmarks.workload import DETAIL_BYTES, UNITS_HANDLERS, events, recording_clock, typed_units, units
from eventsourcing_kit import open_store, rebuild
from eventsourcing_kit.record import COLUMNS, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["main"]

PAGE: Final = 1_000_000
AIMS: Final = {"typed": 13, "untyped": 11, "latency": 1.7}
_STREAM: Final = "sku-1"
_TABLE: Final = "events"
_REGION: Final = "eu-west-1"


def main() -> None:
    """Measures, and prints tables."""
    options = _options()
    os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local", AWS_EC2_METADATA_DISABLED="true")  # noqa: S106
    for line in machine.description():
        say(line)
    say(f"one stream of {options.events:,} events with details of {DETAIL_BYTES} bytes, in pages of 1 MB")
    note("making pages")
    answers = list(_answers(options.events))
    with (
        _responder(answers, 0) as near,
        _responder(answers, options.latency / 1_000) as far,
        _store(near) as store,
        _store(far) as slow,
    ):
        _measure(store, slow, near, options)
    say(f"load average at the end: {machine.load()}")


def _measure(store: BaseStore, slow: BaseStore, endpoint: str, options: argparse.Namespace) -> None:
    table = boto3.resource(
        "dynamodb", region_name=_REGION, endpoint_url=endpoint, config=Config(retries={"mode": "standard"})
    ).Table(_TABLE)
    expected = _over_table(table)
    if not expected == rebuild(units, store, _STREAM).state == rebuild(typed_units, slow, _STREAM).state:
        raise SystemExit("the sides do not come to the same state")

    def case(name: str, run: Any, clock: Any = time.process_time) -> Case:
        return Case(Figures(name, clock=clock), run, options.events)

    ours = [
        case("kit: rebuild, typed payload", lambda: rebuild(typed_units, store, _STREAM)),
        case("kit: rebuild, untyped payload", lambda: rebuild(units, store, _STREAM)),
    ]
    theirs = case("boto3: Table.query, json.loads, the same fold", lambda: _over_table(table))
    waiting = [
        case(
            f"kit, {options.latency} ms latency a page", lambda: rebuild(typed_units, slow, _STREAM), time.perf_counter
        ),
        case("kit, no latency", lambda: rebuild(typed_units, store, _STREAM), time.perf_counter),
    ]
    take_turns([*ours, theirs, *waiting], rounds=options.rounds)
    show("query, decode, fold (processor)", [ours[0].figures, ours[1].figures, theirs.figures], name="typed")
    show("the same with latency (wall clock)", [each.figures for each in waiting], name="with latency")
    for each, aim in zip(ours, (AIMS["typed"], AIMS["untyped"]), strict=True):
        say(f"{each.figures.name}: {_ratio(theirs, each):.1f} times boto3's speed; the aim is {aim}")
    say(f"with latency over without: {_ratio(*waiting):.2f}; the aim is at most {AIMS['latency']}")


def _ratio(first: Case, second: Case) -> float:
    pairs = zip(first.figures.seconds, second.figures.seconds, strict=True)
    return median(one / other for one, other in pairs)


def _over_table(table: Any) -> int:
    """What people write without a kit."""
    state, request = 0, {"KeyConditionExpression": Key("pk").eq(_STREAM), "ConsistentRead": True}
    while True:
        page = table.query(**request)
        for item in page["Items"]:
            state = UNITS_HANDLERS[item["detailType"]](state, _Decoded(json.loads(item["eventDetail"])["data"]))
        if "LastEvaluatedKey" not in page:
            return state
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


class _Decoded(msgspec.Struct, gc=False):
    data: Any


def _store(endpoint: str) -> BaseStore:
    return open_store(f"dynamodb://{_TABLE}?region={_REGION}&endpoint_url={endpoint}", clock=recording_clock)


# The responder


def _answers(count: int) -> Iterator[_Page]:
    """HTTP answers, page by page, whose keys say which number the next one has; and the last event alone."""
    items: list[dict[str, Any]] = []
    size = 0
    number = 0
    for event in events(_STREAM, count):
        record = encode(event, recorded_at="2026-03-01T23:59:59.000000Z", put_token="0" * 16)
        values = zip(COLUMNS, msgspec.structs.astuple(record), strict=True)
        item = {name: {"S": value} for name, value in values if value is not None}
        length = len(msgspec.json.encode(item))
        if size + length > PAGE:
            number += 1
            yield _Page.of(items, {"pk": {"S": _STREAM}, "sk": {"S": f"page {number}"}})
            items, size = [], 0
        items.append(item)
        size += length
    yield _Page.of(items, None)
    yield _Page.of(items[-1:], None)


_BRIEF: Final = ("sk", "detailType", "eventDetail", "recordedAt", "digest")


class _Page(NamedTuple):
    """One page as DynamoDB answers it, with all attributes and with those that the kit asks for in its projection."""

    whole: bytes
    brief: bytes

    @classmethod
    def of(cls, items: list[dict[str, Any]], key: object) -> _Page:
        brief = [{name: item[name] for name in _BRIEF} for item in items]
        return cls(_answer(items, key), _answer(brief, key))


def _answer(items: list[dict[str, Any]], key: object) -> bytes:
    last = {} if key is None else {"LastEvaluatedKey": key}
    body = msgspec.json.encode({"Count": len(items), "Items": items, **last, "ScannedCount": len(items)})
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextmanager
def _responder(answers: list[_Page], latency: float) -> Iterator[str]:
    """Its endpoint. A process of its own, or it would take this one's time."""
    context = multiprocessing.get_context("fork")  # which hands the pages over without copying them
    here, there = context.Pipe()
    process = context.Process(target=_respond, args=(answers, latency, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.kill()
        process.join()


def _respond(answers: list[_Page], latency: float, pipe: Connection) -> None:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while request := self._request():
                time.sleep(latency)
                page = answers[_place(request)]
                self.connection.sendall(page.brief if "ProjectionExpression" in request else page.whole)

        def _request(self) -> dict[str, Any]:
            length = 0
            while (line := self.rfile.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            return json.loads(self.rfile.read(length)) if length else {}

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        pipe.send(server.server_address[1])
        server.serve_forever()


def _place(request: dict[str, Any]) -> int:
    """Which page is asked for: one behind a key, the last event alone by its own key, or the first."""
    if "ExclusiveStartKey" in request:
        return int(request["ExclusiveStartKey"]["sk"]["S"].removeprefix("page "))
    return -1 if "2026" in json.dumps(request["ExpressionAttributeValues"]) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.responder")
    parser.add_argument("--events", type=int, default=20_000, help="how many events the stream has (20,000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is measured (5)")
    parser.add_argument("--latency", type=float, default=5, help="milliseconds that a slow answer takes (5)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
