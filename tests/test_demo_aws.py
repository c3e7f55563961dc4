from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from eventsourcing_kit.demo import aws
from eventsourcing_kit.demo.server import loopback_server
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk


@pytest.fixture
def endpoint(dynamodb_endpoint: str, dynamodb_client: DynamoDBClient) -> Iterator[str]:
    """A server without the demo's table."""
    yield dynamodb_endpoint
    with suppress(dynamodb_client.exceptions.ResourceNotFoundException):
        dynamodb_client.delete_table(TableName="eskit-demo")


def is_open(url: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) == 0


def test_the_month_goes_through_the_handler_and_gives_the_answers_of_the_plain_demo(desk: Desk, endpoint: str) -> None:
    pytest.importorskip("aws_lambda_powertools")
    done = desk.run("demo", "--aws", "--endpoint-url", endpoint)
    told = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert told[4:8] == [
        "  1,865  stored",
        "     81    of them twins, beside another event of that type in the same millisecond",
        "    103  duplicates, which changed nothing",
        "     17    of them under another id, as their producer had sent them again",
    ]
    assert [line for line in told if line.startswith(("  order-", "  2026-"))] == [
        "  order-0187  cancelled, balance -64.80",
        "  2026-03-19    paid       64.80      0.00       2  PaymentCaptured 03-18 18:51  yes       2 late",
        "  2026-03-20    cancelled  64.80     64.80       4  PaymentRefunded 03-19 07:36  yes       4 late",
        "  2026-03-22    cancelled  64.80    129.60       5  PaymentRefunded 03-21 09:13  yes       5 late",
    ]
    commands = [line.split() for line in told if line.startswith("  eskit ")]
    assert [command[1] for command in commands] == [
        *("streams", "events", "rebuild", "timeline", "bisect", "trail", "rebuild", "rebuild")
    ]
    assert not any("--known-at" in command for command in commands)
    assert (desk.folder / "projections" / "shop.py").is_file()


def test_the_server_answers_inside_and_is_gone_behind() -> None:
    with loopback_server() as url:
        assert is_open(url)
    assert not is_open(url)


def test_an_endpoint_that_nobody_answers_at_is_code_4(desk: Desk) -> None:
    pytest.importorskip("aws_lambda_powertools")
    done = desk.run("demo", "--aws", "--endpoint-url", "http://127.0.0.1:9")
    assert (done.code, done.out, len(done.talk)) == (4, "", 1)


@pytest.mark.parametrize("package", ["ingest", "aws_lambda_powertools", "ministack"])
def test_what_it_needs_and_is_not_there_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    pytest.importorskip("aws_lambda_powertools")
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else find(name))
    monkeypatch.setattr(aws, "__file__", str(desk.folder / "eventsourcing_kit" / "demo" / "aws.py"))
    done = desk.run("demo", "--aws")
    assert (done.code, done.out, len(done.talk)) == (2, "", 1)
    assert package in done.talk[0]


@pytest.mark.parametrize(
    "arguments", [("--aws", "--store", "sqlite://"), ("--endpoint-url", "http://127.0.0.1:9")], ids=" ".join
)
def test_options_that_do_not_go_together_are_usage(desk: Desk, arguments: tuple[str, ...]) -> None:
    done = desk.run("demo", *arguments)
    assert (done.code, done.out, len(done.talk)) == (2, "", 1)
