"""A server on loopback that answers as DynamoDB does, for as long as the demo runs."""

from __future__ import annotations

import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from eventsourcing_kit.errors import InvalidOption, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["loopback_server"]

_START_UP: Final = 60  # seconds; it takes two

# It ends itself as soon as nobody holds the other end of its stdin any more, however that came.
_SCRIPT: Final = """
import os, runpy, signal, sys, threading

def watch():
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=watch, daemon=True).start()
runpy.run_module("ministack", run_name="__main__")
"""


@contextmanager
def loopback_server() -> Iterator[str]:
    """Starts PyPI's `ministack` with DynamoDB alone on a free port of 127.0.0.1; gives its URL, and ends it at the end.

    Raises InvalidOption where it is not installed, and StoreUnavailable where it does not start.
    """
    if importlib.util.find_spec("ministack") is None:
        expected = "it (pip install ministack), or another server with --endpoint-url"
        raise InvalidOption("--aws", found="no ministack", expected=expected)
    with tempfile.TemporaryDirectory() as directory:
        port = _free_port()
        process = subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
            [sys.executable, "-c", _SCRIPT],
            env=_environment(port, directory),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # it keeps nothing
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _environment(port: int, directory: str) -> dict[str, str]:
    return {
        **os.environ,
        "BIND_HOST": "127.0.0.1",  # every address, if it is not told
        "GATEWAY_PORT": str(port),
        "SERVICES": "dynamodb",
        "IOT_MTLS_ENABLED": "false",  # else it listens on every address, too
        "SFTP_ENABLED": "false",
        "TMPDIR": directory,
        "STATE_DIR": directory,
    }


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_UP
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.05)  # it is still coming up
        finally:
            connection.close()
    raise StoreUnavailable(f"http://127.0.0.1:{port}", code="NotStarted", doing="starting ministack")
