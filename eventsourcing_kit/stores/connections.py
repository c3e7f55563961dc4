"""HTTP connections to DynamoDB, of the standard library: half the work of urllib3's, as botocore uses them."""

from __future__ import annotations

import http.client
import os
import ssl
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import create_urllib3_context, get_cert_path
from urllib3.util import wait_for_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_dynamodb.client import DynamoDBClient

__all__ = ["Connections", "Sent"]


class Connections:
    """Kept open where they have brought a whole answer, and only then. Threads may share them, forks do not."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._config: Any = client.meta.config
        # Nothing public tells which certificates botocore's session trusts, and which proxies it goes through.
        session = getattr(getattr(client, "_endpoint", None), "http_session", None)
        self._trusts: Any = getattr(session, "_verify", None)
        self._proxy_for: Any = getattr(getattr(session, "_proxy_config", None), "proxy_url_for", None)
        self._idle: dict[str, list[http.client.HTTPConnection]] = {}
        self._process = os.getpid()  # which process opened those
        self._is_closed = False

    def hindrance(self, url: str) -> str | None:
        """Why `send` does not get there in botocore's way; None: it does."""
        if self._trusts is None or self._proxy_for is None:
            return "botocore does not show how it connects"
        if not self._trusts:
            return "certificates are not verified"
        if self._proxy_for(url):
            return "there is a proxy"
        return "there is a client's certificate" if self._config.client_cert else None

    def send(self, request: AWSPreparedRequest) -> Sent:
        """Raises as botocore's session does."""
        url, parts = request.url or "", urlsplit(request.url or "")
        connection = self._kept(url) or self._made(url)
        target, headers = f"{parts.path or '/'}{parts.query and '?'}{parts.query}", dict(request.headers.items())
        try:
            connection.request("POST", target, cast("bytes", request.body), headers)
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            raise _translated(error, url, request) from error
        return Sent(request, connection, self._keep)

    def _keep(self, url: str, connection: http.client.HTTPConnection) -> None:
        if connection.sock is None or len(self._idle[url]) >= self._config.max_pool_connections:
            connection.close()
            return
        self._idle[url].append(connection)
        if self._is_closed:
            self._close_idle()

    def close(self) -> None:
        """None is kept from here on."""
        self._is_closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        for idle in list(self._idle.values()):
            while (connection := _taken(idle)) is not None:
                connection.close()

    def _kept(self, url: str) -> http.client.HTTPConnection | None:
        if self._process != os.getpid():
            self._close_idle()  # this process's copies: the parent goes on with its own
            self._process = os.getpid()  # last, or another thread would take one of them
        idle = self._idle.setdefault(url, [])
        while (connection := _taken(idle)) is not None:
            if not wait_for_read(connection.sock, timeout=0):
                return connection
            connection.close()  # nothing was asked, so what there is to read is that the server has hung up
        return None

    def _made(self, url: str) -> http.client.HTTPConnection:
        parts, patience = urlsplit(url), self._config.connect_timeout
        host, is_tls = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)  # without one, the end of an IPv6 address would be taken for it
        connection = (
            http.client.HTTPSConnection(host, port, timeout=patience, context=self._tls)
            if is_tls
            else http.client.HTTPConnection(host, port, timeout=patience)
        )
        try:
            connection.connect()
            connection.sock.settimeout(self._config.read_timeout)
        except OSError as error:
            if connection.sock is not None:  # it was connected, and has failed over TLS
                connection.close()
                raise _translated(error, url) from error
            kind = ConnectTimeoutError if isinstance(error, TimeoutError) else EndpointConnectionError
            raise kind(endpoint_url=url, error=error) from error
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """As botocore's session makes it."""
        context: ssl.SSLContext = create_urllib3_context()
        context.check_hostname = True  # which urllib3 does by itself
        context.load_verify_locations(get_cert_path(self._trusts))
        return context


class Sent:
    """A request that is on its way, over a connection of its own. Has to be answered, or cancelled."""

    def __init__(
        self,
        request: AWSPreparedRequest,
        connection: http.client.HTTPConnection,
        keep: Callable[[str, http.client.HTTPConnection], None],
    ) -> None:
        self._request = request
        self._connection = connection
        self._keep = keep

    def answer(self) -> AWSResponse:
        """Waits for it, once. Raises as botocore's session does."""
        url, connection = self._request.url or "", self._connection
        is_whole = False
        try:
            answer = connection.getresponse()
            body, headers = answer.read(), cast("Any", dict(answer.getheaders()))
            is_whole = True
        except (http.client.HTTPException, OSError) as error:
            raise _translated(error, url, self._request) from error
        finally:
            if is_whole:
                self._keep(url, connection)
            else:
                connection.close()
        return AWSResponse(url, answer.status, headers, _Body(body))

    def cancel(self) -> None:
        """Nobody waits for its answer any more, which was not read."""
        self._connection.close()


def _taken(idle: list[http.client.HTTPConnection]) -> http.client.HTTPConnection | None:
    """`pop` gives each of them to one thread only, whatever a look before it would say."""
    try:
        return idle.pop()
    except IndexError:
        return None


def _translated(error: Exception, url: str, request: AWSPreparedRequest | None = None) -> Exception:
    """As botocore calls what its session meets with."""
    if isinstance(error, ssl.SSLError):
        return SSLError(endpoint_url=url, error=error)
    if isinstance(error, TimeoutError):
        return ReadTimeoutError(endpoint_url=url, error=error)
    return ConnectionClosedError(endpoint_url=url, request=request, error=error)


class _Body(BytesIO):
    """What botocore reads an answer's body from."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()
