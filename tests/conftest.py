"""What all tests share: an environment without anybody's credentials, and stores of every kind.

`ESKIT_TEST_DYNAMODB=http://host:port` runs all tests that would use the DynamoDB server on loopback against another
endpoint: DynamoDB Local, or a real account's region (`https://dynamodb.eu-west-1.amazonaws.com`). On a real account the
tests use the AWS environment as it is; they make a table named `eskit-test-...` for each test and delete it when the
test is over (so they take long: begin with `-k "TestDynamoDB and Opening"`), and need CreateTable, DeleteTable,
DescribeTable, UpdateTimeToLive, DescribeTimeToLive, PutItem, DeleteItem, BatchGetItem, Query and Scan on tables of that
name, and Query and Scan on their indexes.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import boto3
import pytest
from botocore.loaders import Loader
from hypothesis import settings
from moto import mock_aws

from eventsourcing_kit import open_store
from tests.servers import ministack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.stores.base import BaseStore

pytest_plugins = ("tests.browser",)

ENDPOINT: Final = os.environ.get("ESKIT_TEST_DYNAMODB")
_REAL: Final = (urlsplit(ENDPOINT or "").hostname or "").endswith(".amazonaws.com")
ENGINES: Final = ("sqlite in memory", "sqlite on disk", "moto", "dynamodb")


def pytest_configure() -> None:
    """Before any test, and for every process that a test starts: nobody's account, stores or projections."""
    settings.register_profile("kit", deadline=None)  # a loaded machine makes no law false
    settings.load_profile("kit")
    for name in list(os.environ):
        if name.startswith("ESKIT_") or (name.startswith("AWS_") and not _REAL):
            del os.environ[name]
    if not _REAL:
        os.environ.update(
            AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE",
            AWS_SECRET_ACCESS_KEY="of-nobody",  # noqa: S106 - a server on loopback looks at none
            AWS_EC2_METADATA_DISABLED="true",
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        )


@pytest.fixture(scope="session", autouse=True)
def _botocore_reads_its_files_once() -> Iterator[None]:
    """Else each store reads the description of DynamoDB's API from disk again, which takes longer than most tests."""
    shared: dict[Any, Any] = {}
    init = Loader.__init__

    def sharing(self: Loader, *arguments: Any, **options: Any) -> None:
        init(self, *arguments, **options)
        self._cache = shared  # type: ignore[attr-defined]  # of `instance_cache`; tests are slower without, no more

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loader, "__init__", sharing)
        yield


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int | None]]:
    """One server for each worker of pytest-xdist: it is up in a second, and nobody has to be waited for."""
    if ENDPOINT is not None:
        yield ENDPOINT, None
        return
    with ministack(tmp_path_factory.mktemp("ministack")) as started:
        yield started


@pytest.fixture(scope="session")
def dynamodb_endpoint(_server: tuple[str, int | None]) -> str:
    """The URL of a running DynamoDB server."""
    return _server[0]


@pytest.fixture(scope="session")
def dynamodb_group(_server: tuple[str, int | None]) -> int:
    """The process group of the DynamoDB server that these tests have started."""
    if _server[1] is None:
        pytest.skip("the server is somebody else's")
    return _server[1]


@pytest.fixture(scope="session")
def dynamodb_client(dynamodb_endpoint: str) -> Iterator[DynamoDBClient]:
    """A client of that server, to look behind a store's back."""
    client = boto3.client("dynamodb", region_name=_region(), endpoint_url=dynamodb_endpoint)
    yield client
    client.close()


@pytest.fixture
def dynamodb_url(dynamodb_endpoint: str, dynamodb_client: DynamoDBClient) -> Iterator[str]:
    """The URL of a table that is not there yet, and will not be when the test is over."""
    table = f"eskit-test-{secrets.token_hex(8)}"
    yield f"dynamodb://{table}?region={_region()}&endpoint_url={quote(dynamodb_endpoint, safe='')}"
    with suppress(dynamodb_client.exceptions.ResourceNotFoundException):
        dynamodb_client.delete_table(TableName=table)


@pytest.fixture
def moto_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a table that is not there yet, in moto's in-process DynamoDB, with batches one by one."""
    # moto loses updates when several threads put at once.
    monkeypatch.setattr("eventsourcing_kit.stores.dynamodb.IN_FLIGHT", 1)
    with mock_aws():
        yield "dynamodb://eskit-test?region=eu-west-1"


@pytest.fixture(params=ENGINES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty place in each of the engines."""
    engine: str = request.param
    if engine == "sqlite in memory":
        return "sqlite://"
    if engine == "sqlite on disk":
        return f"sqlite:///{tmp_path / 'events.db'}"
    url: str = request.getfixturevalue("moto_url" if engine == "moto" else "dynamodb_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[BaseStore]:
    """An empty store in each of the engines, with its table made."""
    with open_store(store_url) as store:
        store.create_table()
        yield store


def _region() -> str:
    return os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or "eu-west-1"
