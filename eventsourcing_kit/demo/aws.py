"""The demo by way of AWS: the same month through the ingestion Lambda's own handler into a DynamoDB table."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from eventsourcing_kit.demo.example import copy_example, load_example
from eventsourcing_kit.demo.server import loopback_server
from eventsourcing_kit.demo.shop import deliveries
from eventsourcing_kit.demo.tale import tell_handler, tell_ingest, tell_moments, tell_next, tell_search
from eventsourcing_kit.errors import InvalidOption, StoreUnavailable
from eventsourcing_kit.stores import open_store
from eventsourcing_kit.stores.contract import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["run_aws"]

_TABLE: Final = "eskit-demo"
_AT_ONCE: Final = 10  # messages that a queue hands to a function in one invocation
_REGION: Final = "eu-west-1"
_SETTINGS: Final = (
    *("POWERTOOLS_", "STREAM_PATH", "CORRELATION_PATH", "CAUSATION_PATH"),
    *("IDENTITY", "RETENTION_DAYS", "DEAD_LETTER_QUEUE_URL"),
)

# A Lambda runtime in small: an invocation on each line of stdin, its answer on each line of stdout, and all that the
# function prints, its log and its metrics, on stderr.
_RUNTIME: Final = """
import json, sys
from types import SimpleNamespace

answers, sys.stdout = sys.stdout, sys.stderr
from ingest.app import lambda_handler

context = SimpleNamespace(
    function_name="ingest",
    function_version="$LATEST",
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:ingest",
    memory_limit_in_mb=512,
    aws_request_id="00000000-0000-4000-8000-000000000000",
    get_remaining_time_in_millis=lambda: 30_000,
)
for line in sys.stdin:
    print(json.dumps(lambda_handler(json.loads(line), context)), file=answers, flush=True)
"""


def run_aws(endpoint_url: str | None, *, say: Callable[[str], None], directory: Path) -> None:
    """Sends the month through the handler in `ingest`, as a queue does, into the table `eskit-demo` at `endpoint_url`,
    and tells what is rebuilt from there. Without an endpoint it is a server on loopback, which ends with the demo.

    Raises InvalidOption where `ingest`, or that server, is not there, and StoreError.
    """
    root = _root_of_ingest()
    orders = load_example().orders
    with loopback_server() if endpoint_url is None else nullcontext(endpoint_url) as endpoint:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _REGION
        url = f"dynamodb://{_TABLE}?region={quote(region)}&endpoint_url={quote(endpoint, safe='')}"
        with open_store(url) as store:
            store.create_table()
            tell_ingest(say, _send(url, root, _environment(endpoint, region)), url)
            tell_handler(say)
            tell_search(say, orders, store)
            tell_moments(say, orders, store)
        if endpoint_url is None:
            say("The server was started for this demo and is gone, with the table. With a server of your own and")
            say("--endpoint-url the table stays. What was known when: 'eskit demo' without --aws.")
        else:
            tell_next(say, url, directory, copied=copy_example(directory), known=False)


def _root_of_ingest() -> Path:
    """The folder that has the package `ingest`: a clone's."""
    found = importlib.util.find_spec("ingest")
    root = Path(__file__).parents[2] if found is None or found.origin is None else Path(found.origin).parents[1]
    if not (root / "ingest" / "app.py").is_file():
        raise InvalidOption("--aws", found="no package 'ingest'", expected="to be run in a clone of the repository")
    if importlib.util.find_spec("aws_lambda_powertools") is None:
        expected = "what ingest/requirements.txt lists to be installed"
        raise InvalidOption("--aws", found="no aws_lambda_powertools", expected=expected)
    return root


def _environment(endpoint: str, region: str) -> dict[str, str]:
    """What the template gives to the function, and where AWS is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    if urlsplit(endpoint).hostname in ("127.0.0.1", "::1", "localhost"):
        # Such a server looks at no credentials, yet nothing is signed without any.
        environment = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", **environment}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return environment | {
        "PYTHONPATH": path,
        "TABLE_NAME": _TABLE,
        "ENVIRONMENT": "demo",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint,
    }


def _send(url: str, root: Path, environment: dict[str, str]) -> Counts:
    """What became of the month, as the metrics of the function tell. Raises StoreUnavailable where it failed."""
    invocations = "".join(f"{json.dumps(batch)}\n" for batch in _batches())
    done = subprocess.run(  # noqa: S603 - nothing of it comes from outside
        [sys.executable, "-c", _RUNTIME],
        input=invocations,
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or any(answer["batchItemFailures"] for answer in answers):
        raise StoreUnavailable(url, code="failed invocations", doing="ingesting through the handler")
    totals = _totals(done.stderr)
    return Counts(
        stored=totals.get("Stored", 0),
        duplicate=totals.get("Duplicates", 0),
        twins=totals.get("Twins", 0),
        other_id=totals.get("DuplicatesUnderAnotherId", 0),
    )


def _batches() -> Iterator[dict[str, Any]]:
    """The invocations by which a queue hands over its messages."""
    records = [
        {"messageId": f"message-{number}", "eventSource": "aws:sqs", "body": envelope}
        for number, (_, envelope) in enumerate(deliveries())
    ]
    for start in range(0, len(records), _AT_ONCE):
        yield {"Records": records[start : start + _AT_ONCE]}


def _totals(log: str) -> dict[str, int]:
    """The sum of each metric in the function's log, where CloudWatch takes them from."""
    totals: dict[str, int] = {}
    for line in log.splitlines():
        if not line.startswith('{"_aws":'):
            continue
        record = json.loads(line)
        for metric in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            values = record[metric["Name"]]
            counted = sum(values) if isinstance(values, list) else values
            totals[metric["Name"]] = totals.get(metric["Name"], 0) + int(counted)
    return totals
