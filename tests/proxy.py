"""A proxy in front of a DynamoDB server that does to requests what networks and busy tables do."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from tests.serving import Quiet, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FAULTS", "Fault", "FaultyProxy", "faulty_proxy"]

Fault = Literal["throttled", "error", "cut before", "cut after", "half an answer", "slow"]
FAULTS: Final[tuple[Fault, ...]] = ("throttled", "error", "cut before", "cut after", "half an answer", "slow")

_REFUSALS: Final = {
    "throttled": (400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
    "error": (500, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
}
_TEMPER: Final = 30  # seconds until it gives up on a client that does not hang up


@dataclass
class FaultyProxy:
    """`next_fault` is asked once for each request. "cut after", "half an answer" and "slow" strike behind the write."""

    url: str
    next_fault: Callable[[], Fault | None]
    passed: int = 0
    struck: Counter[Fault] = field(default_factory=Counter)
    agents: list[str] = field(default_factory=list)  # who has asked
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self) -> Fault | None:
        with self._lock:
            fault = self.next_fault()
            if fault is None:
                self.passed += 1
            else:
                self.struck[fault] += 1
            return fault


@contextmanager
def faulty_proxy(endpoint: str, next_fault: Callable[[], Fault | None]) -> Iterator[FaultyProxy]:
    """Runs a FaultyProxy in front of `endpoint` in this process, on a port of 127.0.0.1."""
    target = urlsplit(endpoint)

    class Handler(Quiet, BaseHTTPRequestHandler):
        timeout = _TEMPER

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            proxy.agents.append(self.headers["User-Agent"])
            fault = proxy.fault()
            if fault == "cut before":
                self.close_connection = True
                return
            if fault in _REFUSALS:
                status, kind = _REFUSALS[fault]
                self._answer(status, json.dumps({"__type": kind, "message": "not now"}).encode())
                return
            status, content, checksum = self._forwarded(body)
            if fault == "cut after":
                self.close_connection = True
            elif fault == "half an answer":
                self.close_connection = True
                self._answer(status, content, checksum, cut=len(content) // 2)
            elif fault == "slow":
                self.close_connection = True
                self.rfile.read(1)  # ends when the client has lost its patience, and hangs up
            else:
                self._answer(status, content, checksum)

        def _forwarded(self, body: bytes) -> tuple[int, bytes, str | None]:
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=_TEMPER)
            try:
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                return answer.status, answer.read(), answer.getheader("x-amz-crc32")
            finally:
                connection.close()

        def _answer(self, status: int, content: bytes, checksum: str | None = None, cut: int | None = None) -> None:
            self.send_response_only(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            if checksum is not None:
                self.send_header("x-amz-crc32", checksum)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:cut])

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """Silent: clients that hang up are what this proxy is for, and a lost answer fails the test anyway."""

    with serving(Handler, Server) as url:
        proxy = FaultyProxy(url, next_fault)
        yield proxy
