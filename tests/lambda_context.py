"""The ingestion function as Lambda has it: loaded by a cold start with its settings, called with parsed JSON."""

from __future__ import annotations

import importlib
import io
import json
import sys
import warnings
from collections import Counter
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Context", "Function", "batch", "cold_start", "envelope", "settings_for"]


@dataclass(frozen=True)
class Context:
    """What the handler and Powertools ask of Lambda's context."""

    remaining_ms: int
    function_name: str = "ingest"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:ingest"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@dataclass
class Function:
    """One instance of the function. `app` is its module; it keeps all that the function says on stdout."""

    app: Any
    output: io.StringIO = field(default_factory=io.StringIO)

    def __call__(self, payload: Any, *, remaining_ms: int = 30_000) -> dict[str, Any]:
        """Raises what the handler raises. The payload goes through JSON, as Lambda's own does."""
        with redirect_stdout(self.output), warnings.catch_warnings():
            # Powertools has written out full metrics at the hundredth value, and then misses some at the end.
            warnings.filterwarnings("ignore", "No application metrics to publish", UserWarning)
            answer: dict[str, Any] = self.app.lambda_handler(json.loads(json.dumps(payload)), Context(remaining_ms))
        return answer

    def failed(self, payload: Any, *, remaining_ms: int = 30_000) -> list[str]:
        """The ids of a batch's messages that have to come again."""
        answer = self(payload, remaining_ms=remaining_ms)
        assert set(answer) == {"batchItemFailures"}
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    @property
    def said(self) -> list[dict[str, Any]]:
        """Every line; one that is not JSON raises."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines about deliveries."""
        return [line for line in self.said if "_aws" not in line]

    @property
    def metrics(self) -> Counter[str]:
        """The sum of each metric."""
        sums: Counter[str] = Counter()
        for said in self.said:
            for group in said.get("_aws", {}).get("CloudWatchMetrics", []):
                for metric in group["Metrics"]:
                    values = said[metric["Name"]]
                    sums[metric["Name"]] += sum(values) if isinstance(values, list) else values
        return sums

    def forget(self) -> None:
        """Everything that was said until now."""
        self.output.seek(0)
        self.output.truncate()


@contextmanager
def cold_start(settings: Mapping[str, str]) -> Iterator[Function]:
    """Imports `ingest.app` anew, with `settings` in the environment until the end."""
    before = _taken()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        function = Function(importlib.import_module("ingest.app"))
        function.app.logger.registered_handler.setStream(function.output)
        try:
            yield function
        finally:
            function.app._pool.shutdown()
            function.app._store.close()
            letters = sys.modules["ingest.letters"]._client
            if letters.cache_info().currsize:
                letters().close()
            _taken()
            sys.modules.update(before)


def _taken() -> dict[str, Any]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "ingest"}


def settings_for(url: str, **more: str) -> dict[str, str]:
    """The function's environment for the table of a store's URL. Only DynamoDB is where the URL says."""
    query = parse_qs(urlsplit(url).query)
    return {
        "TABLE_NAME": urlsplit(url).netloc,
        "AWS_DEFAULT_REGION": query["region"][0],
        "AWS_ENDPOINT_URL_DYNAMODB": query["endpoint_url"][0],
        "ENVIRONMENT": "test",
        **more,
    }


def envelope(number: int = 1, *, time: str = "2026-03-01T11:03:27.000Z", **data: Any) -> dict[str, Any]:
    """An event of `order-17`. Those of different numbers differ in id and content, yet not in time and type."""
    return {
        "version": "0",
        "id": f"e-{number}",
        "source": "shop",
        "detail-type": "OrderPlaced",
        "time": time,
        "detail": {"metaData": {"time": time}, "data": {"primaryKey": "order-17", "number": number, **data}},
    }


def batch(deliveries: Iterable[Any]) -> dict[str, Any]:
    """Messages m-0, m-1 and so on, as an event source mapping hands them over; text is a body as it stands."""
    return {
        "Records": [
            {
                "messageId": f"m-{place}",
                "receiptHandle": f"handle-{place}",
                "body": delivery if isinstance(delivery, str) else json.dumps(delivery),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:test-events",
                "awsRegion": "eu-west-1",
            }
            for place, delivery in enumerate(deliveries)
        ]
    }
