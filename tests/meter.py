"""A proxy in front of a DynamoDB server that reads the meter: how many units each reading takes."""

from __future__ import annotations

import http.client
import json
import threading
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.serving import Quiet, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Meter", "meter"]


@dataclass
class Meter:
    """`units` are what the server says itself. Where the meter is `exact`, they are what AWS would say: this server
    counts one for each request, however much that reads, and 200 bytes for each item of a table."""

    url: str
    units: float = 0
    requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, units: float) -> None:
        with self._lock:
            self.units += units
            self.requests += 1


@contextmanager
def meter(endpoint: str, *, exact: bool = False) -> Iterator[Meter]:
    """Runs a Meter in front of `endpoint` in this process, on a port of 127.0.0.1."""
    target = urlsplit(endpoint)

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            reads = operation in ("Query", "Scan")
            answer = self._asked(operation, request | ({"ReturnConsumedCapacity": "TOTAL"} if reads else {}))
            if reads:
                said = answer.pop("ConsumedCapacity")["CapacityUnits"]
                counted.count(max(1, ceil(self._bytes(operation, request) / 4_096)) if exact else said)
            if operation == "DescribeTable" and exact:
                answer["Table"]["TableSizeBytes"] = self._all_bytes(request["TableName"])
            content = json.dumps(answer).encode()
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _bytes(self, operation: str, request: dict[str, Any]) -> int:
            """What is read for one page, also of what a filter or a projection leaves out."""
            whole = {name: value for name, value in request.items() if name not in LEAVING_OUT}
            if "KeyConditionExpression" not in whole:
                whole.pop("ExpressionAttributeValues", None)
            return sum(map(size, self._asked(operation, whole)["Items"]))

        def _all_bytes(self, table: str) -> int:
            request: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
            total = 0
            while True:
                answer = self._asked("Scan", request)
                total += sum(map(size, answer["Items"]))
                if "LastEvaluatedKey" not in answer:
                    return total
                request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

        def _asked(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
            headers = {**self.headers, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
            try:
                connection.request("POST", self.path, json.dumps(request).encode(), headers)
                answer: dict[str, Any] = json.loads(connection.getresponse().read())
                return answer
            finally:
                connection.close()

    with serving(Handler) as url:
        counted = Meter(url)
        yield counted


LEAVING_OUT = ("FilterExpression", "ProjectionExpression")


def size(item: dict[str, Any]) -> int:
    """The bytes of an item, as AWS counts them: names and values; of a number about a byte for two digits."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(tagged: dict[str, Any]) -> int:
    ((tag, value),) = tagged.items()
    if tag == "B":
        return len(b64decode(value))
    return len(value) // 2 + 1 if tag == "N" else len(value.encode())
