"""The benchmarks still run, and measure what they are for. Their figures are none at such a size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.finding import Finding
from benchmarks.groups import GROUPS
from benchmarks.scale import Scale
from tests.eskit import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Every figure that there is an aim for, as a run of this size names it.
AIMS = {
    "DynamoDB, 2,000 events, typed: over boto3": ("at least", 13),
    "DynamoDB, 2,000 events, untyped: over boto3": ("at least", 11),
    "DynamoDB, 2,000 events, typed, direct: over boto3": ("at least", 17),
    "DynamoDB, 2,000 events, untyped, direct: over boto3": ("at least", 12),
    "DynamoDB, 5 ms a page over none, connections: 1": ("at most", 1.7),
    "DynamoDB, 5 ms a page over none, connections: 8": ("at most", 1.6),
    "DynamoDB, 40 streams of 10, 5 ms each: over boto3 in 4 threads": ("at least", 4),
    "DynamoDB, 40 streams of 10, 5 ms each, direct: over boto3 in 4 threads": ("at least", 4),
    "SQLite, one stream of 200, untyped: over eventsourcing": ("at least", 9),
    "SQLite, one stream of 200, untyped: over eventsourcing, lean": ("at least", 4.8),
    "SQLite, one stream of 200, untyped: share of a loop by hand": ("at least", 0.87),
    "SQLite, one stream of 200, typed: over eventsourcing": ("at least", 13),
    "SQLite, one stream of 200, typed: over eventsourcing, lean": ("at least", 7),
    "SQLite, one stream of 200, typed: share of a loop by hand": ("at least", 0.87),
    "SQLite, 20 streams of 10, untyped: over eventsourcing": ("at least", 9),
    "SQLite, 20 streams of 10, untyped: over eventsourcing, lean": ("at least", 4.8),
    "SQLite, 20 streams of 10, untyped: share of a loop by hand": ("at least", 0.87),
    "SQLite, 20 streams of 10, typed: over eventsourcing": ("at least", 13),
    "SQLite, 20 streams of 10, typed: over eventsourcing, lean": ("at least", 7),
    "SQLite, 20 streams of 10, typed: share of a loop by hand": ("at least", 0.87),
    "peak memory, 10,000 events in one stream": ("at most", 48),
    "peak memory, 10,000 events in one stream: growth over 100": ("at most", 4),
    "time an event, 1,000 over 100 in one stream": ("at most", 1.25),
    "time an event, 10 streams over one": ("at most", 1.5),
    "state with snapshots, 4,000 events: over 2,000 events": ("at most", 1.5),
    "state with snapshots, 4,000 events, untyped: over eventsourcing": ("at least", 9),
    "state with snapshots, 4,000 events, typed: over eventsourcing": ("at least", 9),
    "two processes over one: share of a bare loop's gain": ("at least", 0.7),
    "bulk append: over eventsourcing": ("at least", 3),
    "single durable append: over eventsourcing": ("at least", 1.2),
    "40 events into a frame, raw: over normalised dicts": ("at least", 20),
    "40 events into a frame, typed: over normalised dicts": ("at least", 7),
    "import of the kit over import boto3": ("at most", 0.15),
    "cold start of the function over a minimal one": ("at most", 1.35),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What one run of all groups at the smallest size has found."""
    file = tmp_path_factory.mktemp("benchmarks") / "found.json"
    _run("--scale", "tiny", "--json", file)
    findings: list[dict[str, Any]] = json.loads(file.read_text())["findings"]
    return findings


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )


@pytest.mark.xdist_group("package")
def test_each_figure_is_measured_beside_its_aim(found: list[dict[str, Any]]) -> None:
    kinds = {True: "at most", False: "at least"}
    aims = {each["measure"]: (kinds[each["at_most"]], each["aim"]) for each in found if each["aim"] is not None}
    assert aims == AIMS


@pytest.mark.xdist_group("package")
def test_a_figure_lies_between_the_lowest_and_the_highest_round(found: list[dict[str, Any]]) -> None:
    assert all(each["lowest"] <= each["found"] <= each["highest"] for each in found)


def test_the_median_of_the_rounds_is_what_was_found_whichever_side_of_the_aim_it_lies() -> None:
    fast = Finding.of("speed", [3.0, 1.0, 2.0], at_least=2)
    assert (fast.found, fast.lowest, fast.highest, fast.reached) == (2.0, 1.0, 3.0, True)
    assert Finding.of("speed", [1.9], at_least=2).reached is False
    assert Finding.of("memory", [2.0], at_most=2, unit="MB").reached is True
    assert Finding.of("memory", [2.1], at_most=2, unit="MB").reached is False
    assert Finding.of("what there is no aim for", [2.1]).reached is None


def test_a_run_whose_figures_are_told_takes_at_least_five_rounds() -> None:
    assert [scale.rounds >= 5 for scale in (Scale.USUAL, Scale.FULL)] == [True, True]


def test_a_group_that_there_is_not_is_named_beside_those_that_there_are() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        _run("sqlight")
    assert caught.value.returncode == 2
    assert f"no group 'sqlight'; there are {', '.join(GROUPS)}" in caught.value.stderr
