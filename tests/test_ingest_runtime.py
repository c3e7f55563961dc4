"""The ingestion function in AWS's own runtime interface client, which asks a small Runtime API on loopback for work.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from eventsourcing_kit import open_store
from tests.lambda_context import batch, envelope, settings_for
from tests.servers import closed_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[1]
DEADLINE: Final = 60  # seconds after which a function that says nothing fails its test
CANARY: Final = "tweety"


@dataclass
class Runtime:
    """The function as a process, and what it reports."""

    output: Path
    _work: queue.Queue[tuple[str, bytes, int]] = field(default_factory=queue.Queue)
    _reports: queue.Queue[tuple[str, Any]] = field(default_factory=queue.Queue)
    _count: int = 0

    def invoke(self, payload: Any, *, seconds: float = 30) -> Any:
        """The function's answer to one invocation, which has `seconds`; or its error, as the runtime reports it."""
        self._count += 1
        request = f"request-{self._count}"
        self._work.put((request, json.dumps(payload).encode(), int((time.time() + seconds) * 1_000)))
        path, report = self.report()
        assert path in (f"invocation/{request}/response", f"invocation/{request}/error")
        return report

    def report(self) -> tuple[str, Any]:
        """Where the next report goes, and what it says."""
        return self._reports.get(timeout=DEADLINE)


@contextmanager
def running(settings: Mapping[str, str], output: Path) -> Iterator[Runtime]:
    """Starts the runtime, and its API on a port of 127.0.0.1; the process is ended behind the `with`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            work = runtime._work.get()
            if work == end:
                self.close_connection = True
                return
            request, payload, deadline_ms = work
            self.send_response_only(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", request)
            self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline_ms))
            self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:f")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                body = b"".join(chunks)
            else:
                body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response_only(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            runtime._reports.put((self.path.removeprefix("/2018-06-01/runtime/"), json.loads(body)))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that is overridden
            pass

    end = ("", b"", 0)
    runtime = Runtime(output)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, output.open("wb") as said:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", "ingest.app.lambda_handler"],
            env={
                **os.environ,
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
                "LAMBDA_TASK_ROOT": str(ROOT),
                "AWS_LAMBDA_FUNCTION_NAME": "f",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "PYTHONPATH": str(ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                **settings,
            },
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            yield runtime
        finally:
            process.kill()
            process.wait(timeout=30)
            runtime._work.put(end)  # for the thread that waits with the killed process' question
            server.shutdown()
            thread.join(timeout=30)


@pytest.fixture
def table(dynamodb_url: str) -> str:
    """The URL of an empty table."""
    with open_store(dynamodb_url) as store:
        store.create_table()
    return dynamodb_url


@pytest.fixture
def runtime(table: str, tmp_path: Path) -> Iterator[Runtime]:
    with running(settings_for(table), tmp_path / "said.log") as runtime:
        yield runtime


def ids(table: str) -> list[str]:
    with open_store(table) as store:
        return sorted(event.id for event in store.read("order-17"))


def test_an_envelope_goes_in_and_an_item_comes_out(runtime: Runtime, table: str) -> None:
    assert runtime.invoke(envelope(1, name=CANARY)) == {"stored": 1, "duplicate": 0, "refused": 0}
    assert runtime.invoke(envelope(1, name=CANARY)) == {"stored": 0, "duplicate": 1, "refused": 0}
    assert ids(table) == ["e-1"]
    said = runtime.output.read_text()
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["outcome"] for line in lines if "outcome" in line] == ["stored", "duplicate"]
    assert sum(1 for line in lines if "_aws" in line) == 2
    assert CANARY not in said
    assert "order-17" not in said


def test_the_failed_messages_of_a_batch_come_back(runtime: Runtime, table: str) -> None:
    answer = runtime.invoke(batch([envelope(1), "{}", envelope(2)]))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert ids(table) == ["e-1", "e-2"]


def test_a_refusal_is_an_error_of_its_type_and_the_function_lives_on(runtime: Runtime, table: str) -> None:
    runtime.invoke(envelope(1))
    invalid = runtime.invoke({**envelope(2), "source": [CANARY]})
    assert (invalid["errorType"], invalid["errorMessage"]) == (
        "InvalidEnvelope",
        "source: found an array, expected text",
    )
    conflict = runtime.invoke(envelope(1, name=CANARY))
    assert (conflict["errorType"], conflict["errorMessage"]) == (
        "NotStoredError",
        "EventConflict: the same id, other content",
    )
    assert runtime.invoke({CANARY: CANARY})["errorType"] == "InvalidEnvelope"
    assert CANARY not in runtime.output.read_text()
    assert runtime.invoke(envelope(3))["stored"] == 1
    assert ids(table) == ["e-1", "e-3"]


def test_what_is_not_done_in_time_is_an_error_and_comes_again(runtime: Runtime, table: str) -> None:
    runtime.invoke(envelope(1))
    assert runtime.invoke(envelope(2), seconds=1)["errorType"] == "TimeoutError"
    failed = runtime.invoke(batch([envelope(3)]), seconds=1)
    assert failed == {"batchItemFailures": [{"itemIdentifier": "m-0"}]}
    again = runtime.invoke([envelope(2), envelope(3)])
    assert again["stored"] + again["duplicate"] == 2  # nobody knows whether the first puts were applied
    assert ids(table) == ["e-1", "e-2", "e-3"]


def test_a_table_that_is_out_of_reach_is_an_error(table: str, tmp_path: Path) -> None:
    nowhere = {**settings_for(table), "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{closed_port()}"}
    with running(nowhere, tmp_path / "said.log") as runtime:
        assert runtime.invoke(envelope(1), seconds=2)["errorType"] in ("TimeoutError", "StoreUnavailable")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TABLE_NAME", "", "TABLE_NAME: found nothing, expected the name of a DynamoDB table"),
        ("RETENTION_DAYS", "a year", "RETENTION_DAYS: found something else, expected a whole number of days"),
    ],
)
def test_a_setting_that_is_wrong_ends_the_cold_start(
    dynamodb_url: str, tmp_path: Path, name: str, value: str, message: str
) -> None:
    with running(settings_for(dynamodb_url, **{name: value}), tmp_path / "said.log") as runtime:
        path, report = runtime.report()
    assert path == "init/error"
    assert report["errorType"] == "ValueError"
    assert report["errorMessage"].startswith(message)
