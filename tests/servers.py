"""A DynamoDB server on loopback for one run of tests, and a proxy in front of it that loses answers on demand."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tests.serving import Quiet, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LossyProxy", "closed_port", "listening", "lossy_proxy", "ministack"]

_START_UP: Final = 60  # seconds; it takes one or two
_ATTEMPTS: Final = 3  # somebody else may take the port between choosing and using it

# The server ends itself, and whatever it has started, as soon as the end of the pipe that its starter holds is closed:
# by the starter, or by the system when the starter is killed. It does not delete, as it would once a minute, what has
# expired by the machine's clock: tests have clocks of their own, by which that is still to live for a while.
_SERVER: Final = """
import os, runpy, signal, sys, threading

def end_with_the_starter():
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=end_with_the_starter, daemon=True).start()
start = threading.Thread.start
threading.Thread.start = lambda thread: None if thread.name == "dynamodb-ttl-reaper" else start(thread)
runpy.run_module("ministack", run_name="__main__")
"""


@contextmanager
def ministack(directory: Path, **more: str) -> Iterator[tuple[str, int]]:
    """Runs PyPI `ministack`, DynamoDB alone, on a free port of 127.0.0.1; gives its URL and its process group.

    Its files go to `directory`, and its whole process group is ended behind the `with`. `more` are variables of its
    environment, such as other SERVICES.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        port = closed_port()
        log = directory / f"ministack-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVER],
                env=_environment(port, directory) | more,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            if _answers(process, port):
                yield f"http://127.0.0.1:{port}", process.pid
                return
        finally:
            _end(process)
        if attempt == _ATTEMPTS:
            tail = log.read_text(errors="replace")[-2_000:]
            raise RuntimeError(f"ministack does not start; the end of what it says:\n{tail}")


def closed_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _environment(port: int, directory: Path) -> dict[str, str]:
    return {
        **os.environ,
        "BIND_HOST": "127.0.0.1",  # every address, if it is not told
        "GATEWAY_PORT": str(port),
        "SERVICES": "dynamodb",
        "IOT_MTLS_ENABLED": "false",  # else it listens on port 8883 of every address, too
        "SFTP_ENABLED": "false",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(directory),
        "STATE_DIR": str(directory),
    }


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_UP
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == http.client.OK
        except OSError:
            time.sleep(0.05)  # it is still coming up, and says nothing that could be waited for
        finally:
            connection.close()
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # it holds nothing that outlives a run of tests
    process.wait(timeout=30)
    if process.stdin is not None:
        process.stdin.close()


def listening(group: int) -> set[tuple[str, int]]:
    """The addresses and ports on which the processes of a group accept connections. Linux only."""
    inodes = {inode for pid in _processes(group) for inode in _sockets(pid)}
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with open(f"/proc/net/{table}", encoding="ascii") as lines:  # noqa: PTH123 - not a file of ours
            for line in list(lines)[1:]:
                _, local, _, state, *rest = line.split()
                if state == "0A" and rest[5] in inodes:
                    address, _, port = local.partition(":")
                    words = [bytes.fromhex(address[n : n + 8])[::-1] for n in range(0, len(address), 8)]
                    found.add((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    return found


def _processes(group: int) -> list[int]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - not a directory of ours
    return [pid for pid in pids if _group_of(pid) == group]


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _sockets(pid: int) -> Iterator[str]:
    directory = f"/proc/{pid}/fd"
    for name in os.listdir(directory):  # noqa: PTH208 - as above
        target = os.readlink(f"{directory}/{name}")  # noqa: PTH115 - as above
        if target.startswith("socket:["):
            yield target.removeprefix("socket:[").removesuffix("]")


@dataclass
class LossyProxy:
    """Passes requests on to a DynamoDB server, keeps what was asked, and loses as many answers as it is told to."""

    url: str
    lose: dict[str, int] = field(default_factory=dict)  # operation -> how many answers more are lost
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # operation and request
    agents: list[str] = field(default_factory=list)  # who has asked


@contextmanager
def lossy_proxy(endpoint: str) -> Iterator[LossyProxy]:
    """Runs a LossyProxy in front of `endpoint` in this process, on a port of 127.0.0.1."""
    target = urlsplit(endpoint)

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            proxy.asked.append((operation, json.loads(body)))
            proxy.agents.append(self.headers["User-Agent"])
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
            try:
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            if proxy.lose.get(operation, 0):
                proxy.lose[operation] -= 1
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as url:
        proxy = LossyProxy(url)
        yield proxy
