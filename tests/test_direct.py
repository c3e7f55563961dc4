"""The direct transport: requests like botocore's, its outcomes, and boto3 itself where there is no such thing."""

from __future__ import annotations

import datetime as dt
import json
import logging
import random
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError, SSLError
from botocore.retries.standard import ExponentialBackoff
from botocore.stub import Stubber
from freezegun import freeze_time
from urllib3 import HTTPResponse
from urllib3.util import wait_for_read

from eventsourcing_kit import Event, Projection, open_store, rebuild_all
from eventsourcing_kit.errors import StoreError, StoreUnavailable
from eventsourcing_kit.stores import dynamodb
from eventsourcing_kit.stores.ahead import IN_FLIGHT
from eventsourcing_kit.stores.connections import Connections
from eventsourcing_kit.stores.direct import MARK, Direct
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from eventsourcing_kit.testing import event
from tests.canned import Answer, Canned, canned, page
from tests.certificates import certificate, secure
from tests.proxy import FAULTS, Fault, faulty_proxy
from tests.servers import closed_port
from tests.transports import TRANSPORTS, are_direct, taught

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ITEM: Final = {"pk": {"S": "order-17"}, "sk": {"S": "2026-03-01T11:00:00.000Z#Grew"}, "eventId": {"S": "e-1"}}


seen: Projection[list[str]] = Projection("seen", initial=list)


@seen.on()
def see(state: list[str], event: Event) -> list[str]:
    return [*state, event.id]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)


@contextmanager
def opened(endpoint: str, table: str = "events", transport: str = "direct") -> Iterator[DynamoDBStore]:
    url = f"dynamodb://{table}?region=eu-west-1&endpoint_url={endpoint}{TRANSPORTS[transport]}"
    with open_store(url) as store:
        assert isinstance(store, DynamoDBStore)
        yield store


@pytest.fixture
def server() -> Iterator[Canned]:
    """Answers one event to each query, and to each scan."""
    with canned({"": [page(ITEM)]}) as server:
        yield server


def directly(server: Canned) -> list[bool]:
    return are_direct(headers["user-agent"] for headers, _ in server.received)


def ids(store: DynamoDBStore) -> list[str]:
    return [event.id for event in store.read("order-17")]


# Requests


@pytest.mark.parametrize("token", [None, "of-a-session/+=="])
@pytest.mark.parametrize("path", ["", "/below/here", "/here%3Fversion=1%26a"])
def test_a_request_is_what_botocore_has_sent_before_it(
    server: Canned, token: str | None, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token is not None:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    with freeze_time("2026-03-01T11:03:27Z"), opened(server.url + path) as store:
        for operation in ("query", "scan"):
            server.received.clear()
            for _ in range(2):
                list(store.read("order-17") if operation == "query" else store.streams())
            (theirs, body), (ours, same) = server.received
            assert token not in patterns(store)[operation.title()].headers.values()
            assert same == body
            assert ours["x-amz-date"] == "20260301T110327Z"
            assert ours.get("x-amz-security-token") == token
            assert ours["user-agent"] == theirs["user-agent"] + MARK
            retries = {"amz-sdk-invocation-id", "amz-sdk-request", "user-agent"}  # which botocore leaves unsigned
            assert [(name, ours.get(name)) for name in theirs.keys() - retries] == [
                (name, theirs[name]) for name in theirs.keys() - retries
            ]


def test_each_request_is_signed_with_the_credentials_of_its_time(
    server: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(9))

    def fresh() -> dict[str, str]:
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        return {
            "access_key": f"key-{next(numbers)}",
            "secret_key": "of-nobody",
            "token": "t",
            "expiry_time": ends.isoformat(),
        }

    with freeze_time("2026-03-01T11:00:00Z") as clock:
        found = RefreshableCredentials.create_from_metadata(fresh(), refresh_using=fresh, method="test")
        monkeypatch.setattr("botocore.session.Session.get_credentials", lambda self: found)
        with opened(server.url) as store:
            ids(store)
            ids(store)
            clock.move_to("2026-03-01T12:30:00Z")
            ids(store)
    keys = [headers["authorization"].partition("Credential=")[2][:5] for headers, _ in server.received]
    assert keys == ["key-0", "key-0", "key-1"]
    assert directly(server) == [False, True, True]


@pytest.mark.parametrize(
    ("setting", "endpoint"),
    [
        ({}, "https://dynamodb.eu-west-1.amazonaws.com/"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://dynamodb-fips.eu-west-1.amazonaws.com/"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://dynamodb.eu-west-1.api.aws/"),
        ({"AWS_ACCOUNT_ID": "123456789012"}, "https://123456789012.ddb.eu-west-1.amazonaws.com/"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "https://tables.test:8443/v1"}, "https://tables.test:8443/v1"),
    ],
)
def test_requests_go_where_botocores_go(
    setting: dict[str, str], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    sent: list[Any] = []

    def wire(request: Any, **_: object) -> AWSResponse:
        """Answers as if from over there."""
        sent.append(request)
        answer = HTTPResponse(BytesIO(page(ITEM).body), preload_content=False)
        return AWSResponse(request.url, 200, {}, answer)  # type: ignore[arg-type]  # any mapping does

    with (
        freeze_time("2026-03-01T11:03:27Z"),
        open_store("dynamodb://events?region=eu-west-1&transport=direct") as store,
    ):
        assert isinstance(store, DynamoDBStore)
        store._client.meta.events.register("before-send", wire)  # type: ignore[arg-type]  # it may answer
        assert ids(store) == ids(store) == ["e-1"]
    theirs, ours = sent
    assert ours.url == theirs.url == endpoint
    assert ours.headers["user-agent"].endswith(MARK)
    assert ours.headers["authorization"] == theirs.headers["authorization"].decode()


def test_requests_go_where_botocores_go_for_this_table_whatever_else_the_client_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCOUNT_ID", "123456789012")
    sent: list[str] = []

    def wire(request: Any, **_: object) -> AWSResponse:
        sent.append(request.url)
        answer = HTTPResponse(BytesIO(page(ITEM).body), preload_content=False)
        return AWSResponse(request.url, 200, {}, answer)  # type: ignore[arg-type]  # any mapping does

    with open_store("dynamodb://events?region=eu-west-1&transport=direct") as store:
        assert isinstance(store, DynamoDBStore)
        store._client.meta.events.register("before-send", wire)  # type: ignore[arg-type]  # it may answer
        for _ in range(2):
            store._client.query(TableName="arn:aws:dynamodb:eu-west-1:210987654321:table/snapshots")
            ids(store)
    theirs, ours = (f"https://{account}.ddb.eu-west-1.amazonaws.com/" for account in ("210987654321", "123456789012"))
    assert sent == [theirs, ours] * 2


def test_what_else_the_client_is_asked_teaches_nothing(server: Canned) -> None:
    with opened(server.url) as store:
        _ = store._reads
        store._client.query(TableName="snapshots")
        assert patterns(store) == {}
        assert ids(store) == ids(store) == ["e-1"]
    assert directly(server) == [False, False, True]


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://[::1]/", ("::1", 80)),
        ("https://[::1]/", ("::1", 443)),
        ("http://[::1]:8000/", ("::1", 8000)),
        ("https://tables.test/", ("tables.test", 443)),
    ],
)
def test_a_connection_leads_to_the_endpoints_host_and_port(
    server: Canned, monkeypatch: pytest.MonkeyPatch, endpoint: str, address: tuple[str, int]
) -> None:
    called: list[tuple[str, int]] = []

    def refused(address: tuple[str, int], *_: object, **__: object) -> None:
        called.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.create_connection", refused)
    with opened(server.url) as store, pytest.raises(EndpointConnectionError):
        connections(store).send(AWSRequest("POST", endpoint, data=b"{}").prepare())
    assert called == [address]


def test_one_connection_serves_for_one_request_after_another(server: Canned) -> None:
    with opened(server.url) as store:
        taught(store)
        idle = connections(store)._idle
        assert ids(store) == ids(store) == ["e-1"]
        ((kept,),) = idle.values()
        assert kept.sock.gettimeout() == 5
        ids(store)
        assert idle == {f"{server.url}/": [kept]}
    assert kept.sock is None


def test_a_connection_that_the_server_has_closed_is_not_used_again(server: Canned) -> None:
    with opened(server.url) as store:
        taught(store)
        sound = server.answers[""][0]
        server.answers[""] = [Answer(sound.body, checksum=sound.checksum, sent=len(sound.body)), sound]
        ids(store)
        ((kept,),) = connections(store)._idle.values()
        assert wait_for_read(kept.sock, timeout=30)
        server.received.clear()
        assert ids(store) == ["e-1"]
        assert directly(server) == [True]


def test_a_connection_does_not_go_through_a_fork(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(server.url) as store:
        taught(store)
        ids(store)
        ((parents,),) = connections(store)._idle.values()
        monkeypatch.setattr("os.getpid", lambda: -1)
        ids(store)
        ((childs,),) = connections(store)._idle.values()
        assert childs is not parents
        assert parents.sock is None
        ids(store)
        assert connections(store)._idle == {f"{server.url}/": [childs]}


def test_a_request_that_is_under_way_at_the_close_leaves_no_connection_open(server: Canned) -> None:
    class Closing(dict[str, list[Answer]]):
        """Has the connections closed before it gives an answer."""

        def __getitem__(self, key: str) -> list[Answer]:
            connections(store).close()
            return super().__getitem__(key)

    with opened(server.url) as store:
        taught(store)
        server.answers = Closing(server.answers)
        server.received.clear()
        assert ids(store) == ["e-1"]
        assert directly(server) == [True]
        assert connections(store)._idle == {f"{server.url}/": []}


def test_a_close_beside_requests_closes_what_they_have_not_taken(server: Canned) -> None:
    class Taken(list[Any]):
        """Whose last one is taken between a look and a grasp."""

        def __bool__(self) -> bool:
            return True

    class Idle:
        closed = False

        def close(self) -> None:
            self.closed = True
            idle["http://from-now-on.test/"] = []  # as a request to another endpoint does

    with opened(server.url) as store:
        idle: dict[str, list[Any]] = connections(store)._idle
        first, second = Idle(), Idle()
        idle.update({"http://a.test/": Taken([first]), "http://b.test/": [second]})
        store.close()
        assert first.closed
        assert second.closed


def test_the_client_is_closed_although_a_connection_is_not(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Connections) -> None:
        raise OSError("of a test")

    closed: list[bool] = []
    with opened(server.url) as store:
        _ = store._reads
        with monkeypatch.context() as patched:
            patched.setattr(Connections, "close", failing)
            patched.setattr(store._client, "close", lambda: closed.append(True))
            with pytest.raises(OSError, match="of a test"):
                store.close()
    assert closed == [True]


def connections(store: DynamoDBStore) -> Connections:
    assert isinstance(store._reads, Direct)
    return store._reads._connections


def patterns(store: DynamoDBStore) -> dict[str, Any]:
    assert isinstance(store._reads, Direct)
    return store._reads._patterns


# Outcomes


@pytest.fixture
def table(dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a table with three events, and clients that have not much patience."""
    with open_store(dynamodb_url) as store:
        store.create_table()
        store.append_many(event("Grew", id=f"e-{n}", time=f"2026-03-01T11:00:0{n}Z") for n in range(3))
        assert isinstance(store, DynamoDBStore)
        monkeypatch.setattr(dynamodb, "_CONFIG", dynamodb._CONFIG.merge(Config(read_timeout=1)))
        return store.table


def came_of(use: Callable[[], object]) -> object:
    try:
        return use()
    except StoreError as error:
        return type(error), getattr(error, "code", None), type(error.__cause__), str(error)


def courses(
    endpoint: str, table: str, faults: list[Fault | None], readings: int, transport: str
) -> list[tuple[str, int]]:
    """What comes of one reading after another while these faults strike, and how many requests each of them took."""
    remaining: Iterator[Fault | None] = iter(())
    found: list[tuple[str, int]] = []
    with (
        faulty_proxy(endpoint, lambda: next(remaining, None)) as proxy,
        opened(proxy.url, table, transport) as store,
    ):
        taught(store)
        remaining = iter(faults)
        for number in range(readings):
            proxy.agents.clear()
            outcome = came_of(lambda: list(store.streams()) if number % 5 == 4 else ids(store))  # noqa: B023
            told = str(outcome).replace(proxy.url, "").replace(TRANSPORTS["direct"], "")
            found.append((told, len(proxy.agents)))
            assert are_direct(proxy.agents)[0] == (transport == "direct")
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_comes_to_the_same_over_both_transports(dynamodb_endpoint: str, table: str, fault: Fault) -> None:
    times = 1 if fault == "slow" else 5  # each takes a second
    for count in (1, times):
        faults: list[Fault | None] = [fault for _ in range(count)]
        direct, plain = (courses(dynamodb_endpoint, table, faults, 2, each) for each in ("direct", "boto3"))
        assert direct == plain
        assert [requests for _, requests in direct] == [2 if count == 1 else 5, 1]


def test_any_course_of_faults_comes_to_the_same_over_both_transports(dynamodb_endpoint: str, table: str) -> None:
    chance = random.Random(17)  # noqa: S311
    faults = [chance.choice(FAULTS[:-1]) if chance.random() < 0.7 else None for _ in range(200)]
    direct, plain = (courses(dynamodb_endpoint, table, faults, 60, each) for each in ("direct", "boto3"))
    assert direct == plain
    assert {requests for _, requests in direct} == {1, 2, 3, 4, 5}


def test_streams_that_are_asked_for_ahead_come_to_the_same_through_faults(dynamodb_endpoint: str, table: str) -> None:
    asked = iter(range(1_000))

    def fault() -> Fault | None:  # never a try and the one behind it
        number = next(asked)
        return None if number % 3 else FAULTS[number // 3 % (len(FAULTS) - 1)]

    names = [f"s-{number:02}" for number in range(40)]
    with opened(dynamodb_endpoint, table) as store:
        store.append_many(event("Grew", stream=name, id=name) for name in names)
    with faulty_proxy(dynamodb_endpoint, fault) as proxy, opened(proxy.url, table) as store:
        taught(store)
        proxy.agents.clear()
        found = list(rebuild_all(seen, store, streams=names))
        assert [(each.stream, each.state) for each in found] == [(name, [name]) for name in names]
        assert are_direct(proxy.agents).count(True) == len(names)
        assert set(proxy.struck) == set(FAULTS[:-1])


def test_who_asks_for_no_more_leaves_no_connection_behind(dynamodb_endpoint: str, table: str) -> None:
    names = [f"s-{number:02}" for number in range(40)]
    with opened(dynamodb_endpoint, table) as store:
        taught(store)
        made = []
        keep = connections(store)._made
        connections(store)._made = lambda url: made.append(keep(url)) or made[-1]  # type: ignore[method-assign, func-returns-value]
        answers: Any = rebuild_all(seen, store, streams=names)
        next(answers)
        answers.close()
        (idle,) = connections(store)._idle.values()
        assert len(made) >= IN_FLIGHT - 1
        assert [each.sock is None for each in made] == [each not in idle for each in made]


@pytest.mark.parametrize(
    ("code", "status", "requests"),
    [
        ("AccessDeniedException", 400, 1),
        ("ExpiredTokenException", 400, 1),
        ("InternalServerError", 500, 5),
        ("InvalidSignatureException", 400, 1),  # also of a clock that is wrong
        ("LimitExceededException", 400, 5),
        ("ProvisionedThroughputExceededException", 400, 5),
        ("RequestLimitExceeded", 400, 5),
        ("ResourceNotFoundException", 400, 1),
        ("ServiceUnavailable", 503, 5),
        ("ThrottlingException", 400, 5),
        ("UnrecognizedClientException", 400, 1),
        ("ValidationException", 400, 1),
    ],
)
@pytest.mark.parametrize("use", ["read", "streams"])
def test_a_refusal_comes_to_the_same_over_both_transports(code: str, status: int, requests: int, use: str) -> None:
    refusal = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "hunter2"}).encode()
    found = []
    for transport in TRANSPORTS:
        with canned({"": [page(ITEM)]}) as server, opened(server.url, transport=transport) as store:
            taught(store)
            server.answers[""] = [Answer(refusal, status=status)]
            server.received.clear()
            with pytest.raises(StoreError) as raised:
                list(store.read("order-17") if use == "read" else store.streams())
            assert directly(server) == [transport == "direct", *[False] * (requests - 1)]
        assert isinstance(raised.value.__cause__, ClientError)
        assert "hunter2" not in str(raised.value)
        found.append(
            (type(raised.value), getattr(raised.value, "code", None), raised.value.__cause__.response["Error"])
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("fault", ["cut before", "half an answer", "slow", None])
def test_a_connection_fails_as_botocores_does(
    server: Canned, monkeypatch: pytest.MonkeyPatch, fault: Fault | None
) -> None:
    monkeypatch.setattr(dynamodb, "_CONFIG", dynamodb._CONFIG.merge(Config(read_timeout=0.2)))
    found = []
    with faulty_proxy(server.url, lambda: fault) as proxy, opened(proxy.url) as store:
        url = proxy.url if fault else f"http://127.0.0.1:{closed_port()}"
        request = AWSRequest("POST", f"{url}/", {"X-Amz-Target": "-"}, b"{}").prepare()
        request.stream_output = False
        client: Any = store._client
        for send in (lambda each: connections(store).send(each).answer(), client._endpoint.http_session.send):
            with pytest.raises(BotoCoreError) as raised:
                send(request)
            found.append((type(raised.value), raised.value.kwargs["endpoint_url"]))
    assert found[0] == found[1]


def test_who_takes_too_long_to_connect_is_told_apart(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("socket.create_connection", never)
    with opened(server.url) as store, pytest.raises(ConnectTimeoutError):
        connections(store).send(AWSRequest("POST", f"{server.url}/", data=b"{}").prepare())


def test_where_nobody_listens_any_more_the_store_is_unavailable_after_five_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[int] = []

    def tried() -> int:
        tries.append(1)
        return 0

    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: tried())
    with ExitStack() as stack:
        with canned({"": [page(ITEM)]}) as gone:
            store = stack.enter_context(opened(gone.url))
            taught(store).close()  # its connections are kept open by the server, too
        with pytest.raises(StoreUnavailable) as raised:
            ids(store)
    assert raised.value.code == "EndpointConnectionError"
    assert len(tries) == 4


def test_readings_that_went_well_give_back_what_others_may_try_again(server: Canned) -> None:
    """botocore stops trying again after some hundred tries in vain, until enough was answered."""
    sound, cut = server.answers[""][0], Answer(b"{}", sent=1)

    def requests_in_vain() -> int:
        server.answers[""], before = [cut], len(server.received)
        with pytest.raises(StoreUnavailable):
            ids(store)
        server.answers[""] = [sound]
        return len(server.received) - before

    with opened(server.url) as store:
        taught(store)
        while requests_in_vain() > 1:
            pass
        server.received.clear()
        for _ in range(20):
            ids(store)
        assert directly(server) == [True] * 20
        assert requests_in_vain() == 5


# Where there is no such request


def test_in_moto_nothing_is_sent(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connections, "send", None)
    with open_store(f"{moto_url}&transport=direct") as store:
        store.create_table()
        store.append(event("Grew", id="e-1"))
        for _ in range(3):
            assert [event.id for event in store.read("order-17")] == ["e-1"]
            assert list(store.streams()) == ["order-17"]


def test_a_stubs_answers_are_taken_and_teach_nothing(server: Canned) -> None:
    with opened(server.url) as store, Stubber(store._client) as stub:
        for _ in range(2):
            stub.add_response("query", {"Items": []})
            assert ids(store) == []
        assert patterns(store) == {}
    assert server.received == []


def test_who_begins_to_answer_in_the_servers_place_is_asked_before_anything_is_sent(server: Canned) -> None:
    body = page({**ITEM, "eventId": {"S": "e-2"}}).body

    def double(request: Any, **_: object) -> AWSResponse:
        assert json.loads(request.body)["TableName"] == "events"
        return AWSResponse(request.url, 200, {}, Double(body))  # type: ignore[arg-type]  # any mapping does

    with opened(server.url) as store:
        taught(store)
        server.received.clear()
        store._client.meta.events.register("before-send", double)  # type: ignore[arg-type]  # it may answer
        assert ids(store) == ["e-2"]
        assert server.received == []


class Double:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def test_through_a_proxy_every_request_is_boto3s_and_that_is_said_once(
    server: Canned, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    with opened("http://dynamodb.test") as store:
        for _ in range(3):
            assert ids(store) == ["e-1"]
    assert directly(server) == [False] * 3
    assert told(caplog) == ["transport=direct is not used: there is a proxy"]


def test_the_proxy_is_the_one_that_was_there_when_the_client_was_made(
    server: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(server.url) as before:
        _ = before._client
        monkeypatch.setenv("HTTP_PROXY", server.url)
        with opened("http://dynamodb.test") as behind:
            _ = behind._client
            monkeypatch.delenv("HTTP_PROXY")
            assert ids(behind) == ids(behind) == ["e-1"]
        assert directly(server) == [False, False]
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
        server.received.clear()
        assert ids(before) == ids(before) == ["e-1"]
    assert directly(server) == [False, True]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (Config(signature_version=UNSIGNED), "requests are signed in another way"),
        (Config(client_cert="client.pem"), "there is a client's certificate"),
    ],
)
def test_what_the_configuration_asks_of_each_request_is_left_to_boto3(
    server: Canned, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, config: Config, reason: str
) -> None:
    monkeypatch.setattr(dynamodb, "_CONFIG", dynamodb._CONFIG.merge(config))
    with opened(server.url) as store:
        assert ids(store) == ids(store) == ["e-1"]
    assert directly(server) == [False, False]
    assert told(caplog) == [f"transport=direct is not used: {reason}"]


class Opaque:
    """A session that does what botocore's does, and shows nothing of how."""

    def __init__(self, session: Any) -> None:
        self.send, self.close = session.send, session.close


def unverified(session: Any) -> Any:
    session._verify = False
    return session


@pytest.mark.parametrize(
    ("session_of", "reason"),
    [(Opaque, "botocore does not show how it connects"), (unverified, "certificates are not verified")],
)
def test_a_session_that_may_connect_otherwise_is_left_to_it(
    server: Canned, caplog: pytest.LogCaptureFixture, session_of: Callable[[Any], Any], reason: str
) -> None:
    with opened(server.url) as store:
        client: Any = store._client
        client._endpoint.http_session = session_of(client._endpoint.http_session)
        assert isinstance(store._reads, Direct)
        store._reads._connections = Connections(client)
        assert ids(store) == ids(store) == ["e-1"]
    assert directly(server) == [False, False]
    assert told(caplog) == [f"transport=direct is not used: {reason}"]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_appending_is_boto3s(dynamodb_endpoint: str, table: str) -> None:
    with faulty_proxy(dynamodb_endpoint, lambda: None) as proxy, opened(proxy.url, table) as store:
        taught(store)
        proxy.agents.clear()
        store.append(event("Grew", id="e-9", time="2026-03-01T11:09:00Z"))
        store.measured()
    assert not any(are_direct(proxy.agents))


# TLS


def test_a_certificate_that_botocore_trusts_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = certificate(tmp_path / "here.pem", "127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(found))
    with canned({"": [page(ITEM)]}, secure(found)) as server, opened(server.url.replace("http:", "https:")) as store:
        assert ids(store) == ids(store) == ["e-1"]
    assert directly(server) == [False, True]


@pytest.mark.parametrize(("address", "is_known"), [("127.0.0.1", False), ("127.0.0.2", True)])
def test_a_server_that_is_not_trusted_or_another_is_sent_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, is_known: bool
) -> None:
    found = certificate(tmp_path / "there.pem", address)
    trusted = found if is_known else certificate(tmp_path / "other.pem", "127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(trusted))
    with canned({"": [page(ITEM)]}, secure(found)) as server, opened(server.url.replace("http:", "https:")) as store:
        with pytest.raises(SSLError):
            connections(store).send(AWSRequest("POST", f"{store._client.meta.endpoint_url}/", data=b"{}").prepare())
        with pytest.raises(StoreUnavailable) as raised:
            ids(store)
    assert raised.value.code == "SSLError"
    assert server.received == []
