"""A DynamoDB server of canned answers, for what a real one never says."""

from __future__ import annotations

import json
import threading
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.serving import Quiet, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Answer", "Canned", "canned", "page"]


@dataclass(frozen=True)
class Answer:
    """`checksum` None leaves it out; only `sent` bytes of the body follow, if that is given; `gate` is waited for."""

    body: bytes
    status: int = 200
    checksum: int | None = None
    sent: int | None = None
    gate: threading.Event | None = None


@dataclass
class Canned:
    """What is answered to a request that begins behind a sort key ("" at the beginning): one after another, the last
    of them again and again. `asked` has those sort keys as they came. For a segment, its number stands before the key,
    with a blank between."""

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)  # path and headers; body


def page(*items: dict[str, Any], behind: str | None = None, **more: Any) -> Answer:
    """A sound answer: items, and the sort key behind which the next page begins."""
    key = {} if behind is None else {"LastEvaluatedKey": {"pk": {"S": "order-17"}, "sk": {"S": behind}}}
    body = json.dumps({"Count": len(items), "Items": items, **key, "ScannedCount": len(items)}).encode()
    return Answer(body, **{"checksum": zlib.crc32(body), **more})


@contextmanager
def canned(
    answers: dict[str, list[Answer]], server_of: type[ThreadingHTTPServer] = ThreadingHTTPServer
) -> Iterator[Canned]:
    """Runs a Canned in this process, on a port of 127.0.0.1."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        timeout = 30

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = json.loads(body)
            key = request.get("ExclusiveStartKey", {}).get("sk", {}).get("S", "")
            key = f"{request['Segment']} {key}" if "Segment" in request else key
            server.asked.append(key)
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.received.append(({":path": self.path, **headers}, body))
            left = server.answers[key]
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer.gate is not None:
                answer.gate.wait(timeout=30)
            self.send_response_only(answer.status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            if answer.checksum is not None:
                self.send_header("x-amz-crc32", str(answer.checksum))
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.sent])
            self.close_connection = answer.sent is not None

    with serving(Handler, server_of) as url:
        server = Canned(url, answers)
        yield server
