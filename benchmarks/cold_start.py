"""A cold start: what a fresh interpreter takes for `import ingest.app` and its first put, beside a minimal handler.

    python -m benchmarks.cold_start [--rounds 15]

The minimal one does `import boto3` and one `put_item`, with no parsing, no check for duplicates, no log and no metrics.
Both put into the same DynamoDB server on loopback, in turns, each time in a new process, whose own start is left out.
Seconds are wall clock, and of the processor beside it, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.machine import description
from benchmarks.measuring import note, say
from eventsourcing_kit import open_store
from eventsourcing_kit.demo.server import loopback_server
from eventsourcing_kit.testing import envelope

__all__ = ["main"]

AIM: Final = 1.35  # times the minimal handler
_TABLE: Final = "events"
_REGION: Final = "eu-west-1"

_BEGIN: Final = """
import time
began = time.perf_counter(), time.process_time()
import json, sys
event = json.loads(sys.argv[1])
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
_END: Final = """
print(time.perf_counter() - began[0], time.process_time() - began[1])
"""
_CASES: Final = {"minimal": _BEGIN + _MINIMAL + _END, "ingest.app": _BEGIN + _OURS + _END}


def main() -> int:
    """Prints the medians and their ratios; 1 where the ratio of wall clocks is over the aim."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start")
    parser.add_argument("--rounds", type=int, default=15, help="how often each of the two is started (15)")
    rounds = max(1, parser.parse_args().rounds)
    for line in description():
        say(line)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in _CASES}
    with loopback_server() as endpoint:
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ENDPOINT_URL": endpoint,
            "TABLE_NAME": _TABLE,
            "ENVIRONMENT": "benchmark",
        }
        with open_store(f"dynamodb://{_TABLE}?region={_REGION}&endpoint_url={endpoint}") as store:
            store.create_table()
        for number in range(-1, rounds):  # the first one only compiles and fills the caches of files
            note(f"  round {number + 1} of {rounds}")
            for name, script in _CASES.items():
                seconds = _run(script, environment, number)
                if number >= 0:
                    taken[name].append(seconds)
    return _report(taken)


def _run(script: str, environment: dict[str, str], number: int) -> tuple[float, float]:
    event = json.dumps(envelope("OrderPlaced", number=number))
    done = subprocess.run(
        [sys.executable, "-c", script, event],
        env=environment,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    wall, processor = map(float, done.stdout.split())
    return wall, processor


def _report(taken: dict[str, list[tuple[float, float]]]) -> int:
    say(f"{'':<12}{'wall, s':>10}{'from':>8}{'to':>8}{'cpu, s':>10}")
    medians = {}
    for name, seconds in taken.items():
        walls, processors = zip(*seconds, strict=True)
        medians[name] = median(walls), median(processors)
        say(f"{name:<12}{medians[name][0]:>10.3f}{min(walls):>8.3f}{max(walls):>8.3f}{medians[name][1]:>10.3f}")
    wall, processor = (ours / theirs for ours, theirs in zip(medians["ingest.app"], medians["minimal"], strict=True))
    say(f"ratio: {wall:.2f} by wall clock, {processor:.2f} by processor; the aim is at most {AIM}")
    return int(wall > AIM)


if __name__ == "__main__":
    sys.exit(main())
