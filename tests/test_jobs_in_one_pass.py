"""Jobs over a table: the same bytes in one pass as stream by stream, however they are stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import check_view, open_store, publish, rebuild_job
from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import Clock, event
from tests.counting import counting, loose
from tests.servers import lossy_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventsourcing_kit import Manifest
    from eventsourcing_kit.stores.base import BaseStore

NOW = from_rfc3339("2026-03-10T00:00:00Z")


@pytest.fixture
def table(dynamodb_url: str) -> Iterator[BaseStore]:
    """Nine streams; one of them fails, one has an event without a handler."""
    with open_store(dynamodb_url, clock=Clock("2026-03-01T12:00:00Z")) as store:
        store.create_table()
        store.append_many(
            event("Counted", stream=f"s-{place}", time=f"2026-03-01T1{number}:00:00Z", number=number)
            for place in range(9)
            for number in range(1 + place % 4)
        )
        store.append(event("Broken", stream="s-3", time="2026-03-01T09:00:00Z", note="canary"))
        store.append(event("Unknown", stream="s-5", time="2026-03-01T09:00:00Z"))
        yield store


def job(store: BaseStore, folder: Path, **more: Any) -> Manifest:
    return rebuild_job(counting, store, folder, **{"part_streams": 2, "clock": lambda: NOW, **more})


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class StoppedError(Exception):
    pass


def stopped(*, behind: int, of: int) -> Any:
    """What stops a job when so many streams are done of one with so many."""

    def progress(manifest: Manifest, done: int) -> None:
        if (manifest.streams, done) == (of, behind):
            raise StoppedError

    return progress


@pytest.mark.parametrize(("part_format", "crews"), [("jsonl", (1, 2, 8)), ("parquet", (1, 2))])
def test_one_pass_makes_the_same_bytes_with_any_number_of_workers(
    table: BaseStore, tmp_path: Path, part_format: str, crews: tuple[int, ...]
) -> None:
    made = job(table, tmp_path / "alone", way="query", part_format=part_format)
    assert (made.states, made.failed, made.warned) == (8, 1, 1)
    alone = content(tmp_path / "alone")
    for workers in crews:
        assert job(table, tmp_path / str(workers), way="scan", workers=workers, part_format=part_format) == made
        assert content(tmp_path / str(workers)) == alone


def test_states_that_can_not_wait_are_rebuilt_one_by_one(table: BaseStore, tmp_path: Path) -> None:
    for way in ("scan", "query"):
        rebuild_job(loose, table, tmp_path / way, way=way, clock=lambda: NOW)
    assert content(tmp_path / "scan") == content(tmp_path / "query")


def test_a_job_that_is_stopped_in_the_pass_begins_anew(table: BaseStore, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        job(table, tmp_path / "states", progress=stopped(behind=5, of=0))
    assert not (tmp_path / "states" / "manifest.json").exists()
    job(table, tmp_path / "states", resume=True)
    job(table, tmp_path / "alone", way="query")
    assert content(tmp_path / "states") == content(tmp_path / "alone")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_is_stopped_behind_the_pass_reads_only_what_was_odd(
    table: BaseStore, tmp_path: Path, dynamodb_endpoint: str, workers: int
) -> None:
    with (
        lossy_proxy(dynamodb_endpoint) as proxy,
        open_store(f"{table.url.partition('?')[0]}?region=eu-west-1&endpoint_url={proxy.url}") as store,
    ):
        with pytest.raises(StoppedError):
            job(store, tmp_path / "states", workers=workers, progress=stopped(behind=5, of=9))
        assert {operation for operation, _ in proxy.asked if operation != "Query"} == {"Scan"}
        proxy.asked.clear()
        job(store, tmp_path / "states", workers=workers, resume=True)
        assert not [operation for operation, _ in proxy.asked if operation == "Scan"]
        assert len(proxy.asked) <= 1  # the stream that failed, whose error has to be raised once more
        job(store, tmp_path / "alone", way="query")
    assert content(tmp_path / "states") == content(tmp_path / "alone")


def test_what_a_pass_left_before_there_was_a_manifest_is_not_used(table: BaseStore, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    folder.mkdir()
    (folder / ".answers").write_bytes(b"of nobody knows what")
    (folder / ".answers.tmp").write_bytes(b"half")
    job(table, folder, resume=True)
    job(table, tmp_path / "alone", way="query")
    assert content(folder) == content(tmp_path / "alone")


def test_a_part_that_is_damaged_later_is_made_once_more(table: BaseStore, tmp_path: Path) -> None:
    job(table, tmp_path / "states")
    whole = content(tmp_path / "states")
    (tmp_path / "states" / "part-00001.jsonl").unlink()
    job(table, tmp_path / "states", resume=True)
    assert content(tmp_path / "states") == whole


def test_streams_that_are_listed_can_not_be_scanned(table: BaseStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="the streams are listed already"):
        job(table, tmp_path / "states", streams=["s-1"], way="scan")


def test_a_view_is_built_in_one_pass_and_gone_on_with_stream_by_stream(
    table: BaseStore, tmp_path: Path, dynamodb_endpoint: str
) -> None:
    into = f"sqlite:///{tmp_path / 'views.db'}"
    with (
        lossy_proxy(dynamodb_endpoint) as proxy,
        open_store(f"{table.url.partition('?')[0]}?region=eu-west-1&endpoint_url={proxy.url}") as store,
    ):

        def stop(_: object, rows: int) -> None:
            if rows == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            publish(counting, store, into, streams="s-", on_error="skip", progress=stop)
        assert [operation for operation, _ in proxy.asked] == ["Scan"] * 4
        proxy.asked.clear()
        view = publish(counting, store, into, streams="s-", on_error="skip", resume=True)
        assert sorted(operation for operation, _ in proxy.asked) == ["Query"] * 7 + ["Scan"]
    assert view.states == 9
    assert check_view(counting, table, into).ok
