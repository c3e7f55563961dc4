"""A cold start: what a new interpreter takes for `import ingest.app` and its first put, beside a minimal handler.

The minimal one does `import boto3` and one `put_item`, with no parsing, no check for duplicates, no log and no metrics.
Both put into the same DynamoDB server on loopback, in turns, each time in a new process. Ours runs from the package
that is deployed, as `make build-ingest` makes it for this machine's Python; as on Lambda, boto3 is there already,
compiled, and nothing can be written beside the code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.finding import Finding, over
from benchmarks.interpreters import start_in_turns
from benchmarks.measuring import note, show
from benchmarks.responder import REGION, TABLE
from eventsourcing_kit import open_store
from eventsourcing_kit.demo.server import loopback_server
from eventsourcing_kit.testing import envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.scale import Scale

__all__ = ["measure"]

AIM: Final = 1.35  # times the minimal handler
_ROOT: Final = Path(__file__).parents[1]

_EVENT: Final = """
import json, sys
event = json.loads(sys.argv[1])
event["id"] += sys.argv[2]
event["detail"]["data"]["primaryKey"] += sys.argv[2]
"""
_MINIMAL: Final = """
import boto3
boto3.client("dynamodb").put_item(TableName="events", Item={
    "pk": {"S": event["detail"]["data"]["primaryKey"]},
    "sk": {"S": event["detail"]["metaData"]["time"] + "#" + event["detail-type"] + "#" + event["id"]},
    "eventDetail": {"S": json.dumps(event["detail"])},
})
"""
_OURS: Final = """
from types import SimpleNamespace
stdout, sys.stdout = sys.stdout, sys.stderr  # the log goes there
import ingest.app
context = SimpleNamespace(function_name="ingest", memory_limit_in_mb=512, invoked_function_arn="arn",
                          aws_request_id="1", get_remaining_time_in_millis=lambda: 30_000)
assert ingest.app.lambda_handler(event, context)["stored"] == 1
sys.stdout = stdout
"""


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    """Processor time. Needs pip, and what it takes to install the function's requirements."""
    note("building the function's package")
    empty = place / "empty"
    empty.mkdir()
    package = _build(place)
    scripts = {"minimal": (_EVENT + _MINIMAL, empty), "ingest.app": (_EVENT + _OURS, package)}
    with loopback_server() as endpoint:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": endpoint,
            "TABLE_NAME": TABLE,
            "ENVIRONMENT": "benchmark",
        }
        with open_store(f"dynamodb://{TABLE}?region={REGION}&endpoint_url={endpoint}") as store:
            store.create_table()
        figures = start_in_turns(
            scripts,
            environment=environment,
            rounds=scale.pick(tiny=1, usual=15, full=31),
            arguments=[json.dumps(envelope("OrderPlaced"))],
        )
    show("a start and a put", list(figures.values()), name="minimal", each_is="start")
    ratio = over(figures["ingest.app"], figures["minimal"])
    yield Finding.of("cold start of the function over a minimal one", ratio, at_most=AIM)


def _build(place: Path) -> Path:
    subprocess.run(
        ["make", "build-ingest", f"BIN={Path(sys.executable).parent}", f"BUILD={place}", "INGEST_PLATFORM=here"],
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return place / "ingest"
