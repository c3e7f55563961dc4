"""Pages asked for without most of botocore's way of a request, which takes longer than all else about a short page.

The first request of a kind is botocore's. It shows where requests go, which headers they bear and for which region they
are signed; those behind it are made alike, signed by botocore's own signer, and sent over connections that are kept.

Each of them is botocore's first try of a page, made in its stead. What came of it, if that is no sound answer, is
handed to botocore as if it had come of its own: so what is tried again, when and how often, and what is raised in the
end, is decided there and as ever, and all further tries are botocore's.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import ReadOnlyCredentials
from botocore.hooks import first_non_none_response
from urllib3 import HTTPResponse

from eventsourcing_kit.stores.connections import Connections, Sent
from eventsourcing_kit.stores.pages import OPERATIONS, answer_with, is_sound

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3
    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.stores.pages import Answer

__all__ = ["MARK", "Begun", "Direct"]

MARK: Final = " direct"  # at the end of the user agent, by which a log of requests tells them apart

_OK: Final = 200
_SIGNED: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^,]+/\d{8}/([^/,]+)/([^/,]+)/aws4_request, SignedHeaders=([^,]+), Signature="
)
_OF_ONE: Final = ("x-amz-date", "x-amz-security-token")  # which the signer makes for each request
_NOBODY: Final = ReadOnlyCredentials("", "", None)
_log: Final = logging.getLogger("eventsourcing_kit.stores")


class Direct:
    """`query` and `scan` as the client has them, for `pages.asked`. Threads may share it. Has to be closed.

    Where a request can not be made like botocore's (through a proxy, with a certificate of the client, signed in
    another way, or answered not by a server but by a test's double), each one is the client's own.
    """

    def __init__(self, client: DynamoDBClient, session: boto3.Session) -> None:
        """`client` was made by `session`."""
        self._client = client
        self._credentials: Any = session.get_credentials()
        self._connections = Connections(client)
        self._patterns: dict[str, _Pattern] = {}
        self._call = threading.local()  # botocore's events come in the thread that asks
        self._has_told = False
        events: Any = client.meta.events
        for operation in OPERATIONS:
            events.register(f"before-send.dynamodb.{operation}", self._before_send)
            events.register(f"after-call.dynamodb.{operation}", self._after_call)

    def query(self, **request: Any) -> Answer:
        return self._begun("Query", self._client.query, request).result()

    def scan(self, **request: Any) -> Answer:
        return self._begun("Scan", self._client.scan, request).result()

    def begin_query(self, request: dict[str, Any]) -> Begun | None:
        """A query that is on its way, to be answered at its turn; None where each is the client's own."""
        return self._begun("Query", self._client.query, request) if "Query" in self._patterns else None

    def close(self) -> None:
        """The client, too."""
        try:
            self._connections.close()
        finally:
            self._client.close()

    def _begun(self, operation: str, ask: Callable[..., Any], request: dict[str, Any]) -> Begun:
        return Begun(self._sent(operation, request), partial(self._ended, operation, ask, request))

    def _sent(self, operation: str, request: dict[str, Any]) -> Sent | AWSResponse | Exception | None:
        pattern = self._patterns.get(operation)
        if pattern is None:
            return None
        try:
            signed = pattern.signed(request, self._credentials.get_frozen_credentials())
            # Who listens may answer in the server's place, as moto does: then nothing may be sent.
            answers = self._client.meta.events.emit(f"before-send.dynamodb.{operation}", request=signed)
            answer: AWSResponse | None = first_non_none_response(answers)
            return self._connections.send(signed) if answer is None else answer
        except Exception as error:  # noqa: BLE001 - it is botocore's to tell which of them are tried again
            return error

    def _ended(
        self,
        operation: str,
        ask: Callable[..., Any],
        request: dict[str, Any],
        outcome: AWSResponse | Exception | None,
    ) -> Answer:
        if (
            isinstance(outcome, AWSResponse)
            and outcome.status_code == _OK
            and is_sound(outcome.content, outcome.headers)
        ):
            self._tell(operation, outcome)
            return answer_with(outcome.content)
        self._call.outcome, self._call.is_own = outcome, True
        try:
            return ask(**request)  # type: ignore[no-any-return]  # it is an answer
        finally:
            self._call.outcome, self._call.is_own = None, False

    def _tell(self, operation: str, answer: AWSResponse) -> None:
        """As botocore does it: the quota of its retries recovers by successes."""
        model = self._client.meta.service_model.operation_model(operation)
        self._client.meta.events.emit(
            f"after-call.dynamodb.{operation}", http_response=answer, parsed={}, model=model, context={}
        )

    def _before_send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        self._call.request = request
        outcome: AWSResponse | Exception | None = getattr(self._call, "outcome", None)
        self._call.outcome = None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _after_call(self, http_response: AWSResponse, model: Any, **_: object) -> None:
        """Learns from what botocore has sent, and a server has answered."""
        # The client asks for other tables, too, whose endpoint may be another account's.
        is_own = getattr(self._call, "is_own", False)
        if not is_own or http_response.status_code != _OK or not isinstance(http_response.raw, HTTPResponse):
            return
        pattern = _Pattern.of(self._call.request)
        reason = "requests are signed in another way" if pattern is None else self._connections.hindrance(pattern.url)
        if pattern is not None and reason is None:
            self._patterns[model.name] = pattern
        elif not self._has_told:
            self._has_told = True
            _log.warning("transport=direct is not used: %s", reason)


class Begun:
    """A question that has been sent, or whatever came of that. Has to be ended by one of the two."""

    def __init__(
        self,
        sent: Sent | AWSResponse | Exception | None,
        ended: Callable[[AWSResponse | Exception | None], Answer],
    ) -> None:
        self._sent = sent
        self._ended = ended

    def result(self) -> Answer:
        """As the client answers it, in this thread. Raises as the client does."""
        outcome = self._sent
        if isinstance(outcome, Sent):
            try:
                outcome = outcome.answer()
            except Exception as error:  # noqa: BLE001 - as above
                outcome = error
        return self._ended(outcome)

    def cancel(self) -> None:
        """Nobody asks for its result any more."""
        if isinstance(self._sent, Sent):
            self._sent.cancel()


class _Pattern(NamedTuple):
    """What the requests of a kind have in common."""

    url: str
    headers: dict[str, str]
    region: str
    service: str

    @classmethod
    def of(cls, request: AWSPreparedRequest) -> _Pattern | None:
        """None where it is signed in another way, or not at all."""
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        found = _SIGNED.match(headers.get("authorization", ""))
        if found is None:
            return None
        region, service, signed = found.groups()
        common = {name: headers[name] for name in signed.split(";") if name in headers and name not in _OF_ONE}
        # The host, which is signed without standing among the headers, would be made out anew for each request.
        signer = SigV4Auth(_NOBODY, service, region)
        common["host"] = signer.headers_to_sign(AWSRequest("POST", request.url))["host"]
        common["user-agent"] = headers["user-agent"] + MARK
        return cls(request.url or "", common, region, service)

    def signed(self, request: dict[str, Any], credentials: Any) -> AWSPreparedRequest:
        made = AWSRequest("POST", self.url, self.headers, json.dumps(request).encode())  # as botocore writes it
        SigV4Auth(credentials, self.service, self.region).add_auth(made)
        return made.prepare()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
