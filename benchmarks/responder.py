"""A DynamoDB server of canned pages on 127.0.0.1, so that only what the client does is measured.

It answers `Query` as DynamoDB does: a range of keys, in either direction, in pages that end behind 1 MB as DynamoDB
counts it, with the attributes that are asked for, and a checksum. Each answer is put together once and then kept.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import socketserver
import threading
import time
import zlib
from bisect import bisect_left, bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from eventsourcing_kit.record import COLUMNS, encode, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

    from eventsourcing_kit import Event

__all__ = ["PAGE", "REGION", "TABLE", "Items", "items_of", "responder"]

TABLE: Final = "events"
REGION: Final = "eu-west-1"
PAGE: Final = 1_048_576
_COMPARED: Final = re.compile(r"([#\w]+) ?(=|<=|>=) ?(:\w+)")
_BETWEEN: Final = re.compile(r"BETWEEN (:\w+) AND (:\w+)", flags=re.IGNORECASE)
_HIGHEST: Final = "\U0010ffff"


class Items(NamedTuple):
    """A stream as the table holds it: sort keys in order, each item's attributes as JSON, and its size."""

    keys: list[str]
    attributes: list[dict[str, bytes]]
    sizes: list[int]


def items_of(events: Iterable[Event]) -> Items:
    """Events in the order of their keys, with all attributes that the kit writes."""
    found: dict[str, tuple[dict[str, bytes], int]] = {}
    for event in events:
        record = encode(event, recorded_at="2026-03-01T23:59:59.000000Z", put_token="0" * 16)
        if record.sk in found:
            record = encode(event, recorded_at=record.recorded_at or "", put_token="0" * 16, twin=True)
        values = zip(COLUMNS, msgspec.structs.astuple(record), strict=True)
        tagged = {name: msgspec.json.encode({"S": value}) for name, value in values if value is not None}
        found[record.sk] = tagged, size(record)
    ordered = sorted(found.items())
    return Items([key for key, _ in ordered], [each for _, (each, _) in ordered], [each for _, (_, each) in ordered])


@contextmanager
def responder(table: Mapping[str, Items], latencies: Sequence[float]) -> Iterator[list[str]]:
    """An endpoint for each latency, in seconds. A process of its own, or it would take this one's time."""
    context = multiprocessing.get_context("fork")  # which hands the items over without copying them
    here, there = context.Pipe()
    process = context.Process(target=_respond, args=(table, latencies, there), daemon=True)
    process.start()
    try:
        yield [f"http://127.0.0.1:{port}" for port in here.recv()]
    finally:
        process.kill()
        process.join()


def _respond(table: Mapping[str, Items], latencies: Sequence[float], pipe: Connection) -> None:
    answers = _Answers(table)
    servers = [_server(answers, latency) for latency in latencies]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    pipe.send([server.server_address[1] for server in servers])
    for thread in threads:
        thread.join()


class _Answers:
    """HTTP answers to queries."""

    def __init__(self, table: Mapping[str, Items]) -> None:
        self._table = table
        self._known: dict[tuple[Any, ...], bytes] = {}

    def to(self, request: dict[str, Any]) -> bytes:
        names = request.get("ExpressionAttributeNames", {})
        stream, low, high = _range_of(request["KeyConditionExpression"], request["ExpressionAttributeValues"], names)
        projected = request.get("ProjectionExpression", "")
        columns = tuple(names.get(name, name) for name in re.split(r",\s*", projected)) if projected else COLUMNS
        forward = request.get("ScanIndexForward", True)
        behind = request.get("ExclusiveStartKey", {}).get("sk", {}).get("S")
        question = stream, low, high, behind, forward, columns, request.get("Limit")
        answer = self._known.get(question)
        if answer is None:
            answer = self._known[question] = self._made(*question)
        return answer

    def _made(
        self,
        stream: str,
        low: str,
        high: str,
        behind: str | None,
        forward: bool,  # noqa: FBT001 - as the question has it
        columns: tuple[str, ...],
        limit: int | None,
    ) -> bytes:
        keys, attributes, sizes = self._table.get(stream, Items([], [], []))
        first, end = bisect_left(keys, low), bisect_right(keys, high)
        if behind is not None:
            if forward:
                first = max(first, bisect_right(keys, behind))
            else:
                end = min(end, bisect_left(keys, behind))
        places = range(first, end) if forward else range(end - 1, first - 1, -1)
        taken, total = 0, 0
        while taken < len(places) and total < PAGE and taken != limit:
            total += sizes[places[taken]]
            taken += 1
        items = b",".join(_item(attributes[place], columns) for place in places[:taken])
        last = ""
        if taken < len(places):
            key = {"pk": {"S": stream}, "sk": {"S": keys[places[taken - 1]]}}
            last = f'"LastEvaluatedKey":{msgspec.json.encode(key).decode()},'
        body = b'{"Count":%d,"Items":[%b],%b"ScannedCount":%d}' % (taken, items, last.encode(), taken)
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"x-amz-crc32: {zlib.crc32(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def _range_of(condition: str, tagged: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, str, str]:
    """The stream of a key condition, and the lowest and the highest sort key, both inclusive."""
    values = {name: value["S"] for name, value in tagged.items()}
    low, high = "", _HIGHEST
    stream = ""
    for name, operator, value in _COMPARED.findall(condition):
        if names.get(name, name) == "pk":
            stream = values[value]
            continue
        low = values[value] if operator in ("=", ">=") else low
        high = values[value] if operator in ("=", "<=") else high
    between = _BETWEEN.search(condition)
    return (stream, values[between[1]], values[between[2]]) if between else (stream, low, high)


def _item(attributes: dict[str, bytes], columns: tuple[str, ...]) -> bytes:
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), attributes[name]) for name in columns if name in attributes)


def _server(answers: _Answers, latency: float) -> socketserver.ThreadingTCPServer:
    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            while request := self._request():
                time.sleep(latency)
                self.connection.sendall(answers.to(request))

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
        request_queue_size = 128  # clients come all at once

    return Server(("127.0.0.1", 0), Handler)
