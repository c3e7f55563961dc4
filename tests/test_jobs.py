from __future__ import annotations

import hashlib
import json
import os
import signal
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from freezegun import freeze_time
from pyarrow import parquet  # type: ignore[import-untyped]

from eventsourcing_kit import Projection, open_store
from eventsourcing_kit.cli.jobs import pace
from eventsourcing_kit.errors import InvalidOption, StoreNotFound
from eventsourcing_kit.jobs.folder import rebuild_job
from eventsourcing_kit.jobs.manifest import journal, read_manifest
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import envelope, event
from tests.counting import counting
from tests.eskit import Desk, desk_at, is_let_go

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.jobs.manifest import Manifest
    from eventsourcing_kit.stores.base import BaseStore

STREAMS = [f"s-{number}" for number in range(7)]
NOW = from_rfc3339("2026-03-10T00:00:00Z")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BaseStore]:
    """Seven streams; each has an event on the 1st of March and one on the 2nd."""
    with open_store(f"sqlite:///{tmp_path / 'events.db'}", clock=count(NOW - 1_000_000_000, 1_000).__next__) as store:
        store.append_many(
            event("Counted", stream=stream, id=f"{stream}-{day}", time=f"2026-03-0{day}T12:00:00Z", number=day)
            for stream in STREAMS
            for day in (1, 2)
        )
        yield store


def job(store: BaseStore, folder: Path, **more: Any) -> Manifest:
    question: dict[str, Any] = {"at": "2026-03-05", "part_streams": 2, "clock": lambda: NOW, **more}
    return rebuild_job(counting, store, folder, **question)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


# What a job makes


def test_a_job_leaves_parts_and_a_manifest_that_says_what_they_are(store: BaseStore, tmp_path: Path) -> None:
    made = job(store, tmp_path / "states")
    assert made == read_manifest(tmp_path / "states")
    assert [path.name for path in sorted((tmp_path / "states").glob("[!.]*"))] == [
        "manifest.json",
        *(f"part-0000{number}.jsonl" for number in range(4)),
    ]
    assert (made.projection, made.version, made.at) == ("counting", 3, "2026-03-05T00:00:00.000000000Z")
    assert (made.streams, made.states, made.events, made.warned, made.failed) == (7, 7, 14, 7, 0)
    assert made.finished
    for part in made.parts:
        data = (tmp_path / "states" / part.file).read_bytes()
        assert (part.bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert [part.streams for part in made.parts] == [2, 2, 2, 1]
    states = {line["stream"]: line["state"] for line in lines(tmp_path / "states")}
    assert states == {name: {"total": 3, "seen": [f"{name}-1", f"{name}-2"]} for name in STREAMS}


@pytest.mark.parametrize("part_format", ["jsonl", "parquet"])
def test_any_number_of_workers_makes_the_same_bytes(store: BaseStore, tmp_path: Path, part_format: str) -> None:
    for workers in (1, 2, 8):
        job(store, tmp_path / str(workers), workers=workers, part_format=part_format)
    alone = content(tmp_path / "1")
    assert len(alone) == 6
    assert content(tmp_path / "2") == alone
    assert content(tmp_path / "8") == alone


def test_parquet_parts_are_read_as_one_table(store: BaseStore, tmp_path: Path) -> None:
    job(store, tmp_path / "states", part_format="parquet")
    table = parquet.read_table([str(path) for path in sorted((tmp_path / "states").glob("*.parquet"))])
    assert table.column("stream").to_pylist() == STREAMS
    assert json.loads(table.column("state")[0].as_py())["total"] == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_that_fails_is_listed_and_the_others_are_there(store: BaseStore, tmp_path: Path, workers: int) -> None:
    store.append(event("Broken", stream="s-3", id="e-9", time="2026-03-03T12:00:00Z", note="canary"))
    made = job(store, tmp_path / "states", workers=workers)
    (failure,) = made.failures
    assert (failure.stream, failure.error, failure.part) == ("s-3", "FoldFailed", "part-00001.jsonl")
    assert (made.states, made.failed) == (6, 1)
    assert [line["stream"] for line in lines(tmp_path / "states")] == [name for name in STREAMS if name != "s-3"]
    assert b"canary" not in b"".join(content(tmp_path / "states").values())
    again = job(store, tmp_path / "states", workers=workers, resume=True)
    assert again == made


def test_without_a_known_at_a_job_has_what_was_known_when_it_began(store: BaseStore, tmp_path: Path) -> None:
    made = job(store, tmp_path / "states")
    assert made.known_at == "2026-03-10T00:00:00.000000000Z"
    assert {line["known_at"] for line in lines(tmp_path / "states")} == {made.known_at}


# Resuming


def test_a_resumed_job_makes_only_what_is_missing_damaged_or_in_no_journal(store: BaseStore, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    job(store, folder)
    whole = content(folder)
    (folder / "part-00001.jsonl").unlink()
    (folder / "part-00002.jsonl").write_bytes(b"damaged")
    (folder / ".part-00003.jsonl.0a0b.tmp").write_bytes(b"half")
    (folder / ".done").write_bytes(b'\n[1,{"file":"part-0000')
    before = (folder / "part-00000.jsonl").stat().st_ino
    seen: list[int] = []
    job(store, folder, resume=True, progress=lambda _, done: seen.append(done))
    assert content(folder) == whole
    assert (folder / "part-00000.jsonl").stat().st_ino == before
    assert seen == [3, 4, 5, 6, 7]


def test_what_comes_meanwhile_is_in_no_part(store: BaseStore, tmp_path: Path) -> None:
    job(store, tmp_path / "alone")

    class StoppedError(Exception):
        pass

    def stop(manifest: Manifest, done: int) -> None:
        if done == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        job(store, tmp_path / "states", progress=stop)
    assert not (tmp_path / "states" / "part-00001.jsonl").exists()
    with open_store(store.url, clock=lambda: NOW + 1_000_000_000) as later:
        later.append(event("Counted", stream="s-6", time="2026-03-01T13:00:00Z", number=100))
        later.append(event("Counted", stream="s-00", time="2026-03-01T13:00:00Z", number=100))
    job(store, tmp_path / "states", resume=True, clock=lambda: NOW + 10**15)
    assert content(tmp_path / "states") == content(tmp_path / "alone")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_expires_meanwhile_is_there_as_when_the_job_began(tmp_path: Path, workers: int) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}?retention_days=10"  # until the 11th of March
    with open_store(url, clock=lambda: NOW) as store:
        store.append_many(event("Counted", stream=name, time="2026-03-01T12:00:00Z", number=1) for name in STREAMS)
        began = job(store, tmp_path / "states", workers=workers)
    assert (began.states, began.failed) == (7, 0)
    whole = content(tmp_path / "states")
    (tmp_path / "states" / "part-00001.jsonl").unlink()
    with open_store(url, clock=lambda: NOW + 10**15) as store:  # eleven days later
        assert list(store.streams()) == []
        job(store, tmp_path / "states", workers=workers, resume=True, clock=lambda: NOW + 10**15)
    assert content(tmp_path / "states") == whole


def test_relative_moments_stay_what_they_were(store: BaseStore, tmp_path: Path) -> None:
    asked = {"at": "8d ago", "known_at": "1h ago"}
    made = job(store, tmp_path / "states", **asked)
    assert made.at == "2026-03-02T00:00:00.000000000Z"
    assert job(store, tmp_path / "states", resume=True, clock=lambda: NOW + 10**15, **asked) == made
    resolved = {"at": "2026-03-02", "known_at": "2026-03-09T23:00:00Z"}
    assert job(store, tmp_path / "states", resume=True, **resolved) == made


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"at": "2026-03-06"}, "found 'at 2026-03-06T00:00:00.000000000Z', expected at 2026-03-05T00:00:00.0"),
        ({"at": None}, "found 'no at', expected at 2026-03-05T00:00:00.000000000Z"),
        ({"known_at": "2026-03-06"}, "found 'known_at 2026-03-06T00:00:00.000000000Z', expected no known_at"),
        ({"streams": "s-"}, "found 'chosen prefix 's-'', expected chosen all"),
        ({"on_error": "skip"}, "found 'on_error skip', expected on_error raise"),
        ({"part_format": "parquet"}, "found 'part_format parquet', expected part_format jsonl"),
    ],
    ids=str,
)
def test_a_job_of_another_question_is_not_gone_on_with(
    store: BaseStore, tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    job(store, tmp_path / "states")
    whole = content(tmp_path / "states")
    with pytest.raises(InvalidOption) as caught:
        job(store, tmp_path / "states", resume=True, **other)
    assert message in str(caught.value)
    assert content(tmp_path / "states") == whole


def test_another_store_or_other_code_is_another_question(store: BaseStore, tmp_path: Path) -> None:
    job(store, tmp_path / "states")
    with (
        open_store(f"sqlite:///{tmp_path / 'other.db'}") as other,
        pytest.raises(InvalidOption, match=r"found 'store sqlite:///.*other.db', expected store sqlite:///.*events.db"),
    ):
        job(other, tmp_path / "states", resume=True)
    same_name: Projection[dict[str, Any]] = Projection("counting", initial=dict, version=4)
    with pytest.raises(InvalidOption, match=r"found 'version 4, fingerprint \w+', expected version 3, fingerprint"):
        rebuild_job(same_name, store, tmp_path / "states", at="2026-03-05", resume=True)


def test_a_folder_with_anything_in_it_is_left_alone(store: BaseStore, tmp_path: Path) -> None:
    job(store, tmp_path / "states")
    with pytest.raises(InvalidOption, match="states with a job in it', expected a new or an empty folder; or go on"):
        job(store, tmp_path / "states")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    for resume in (False, True):
        with pytest.raises(InvalidOption, match="output: found"):
            job(store, tmp_path / "mine", resume=resume)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_two_jobs_do_not_run_in_one_folder(store: BaseStore, tmp_path: Path) -> None:
    job(store, tmp_path / "states")
    with (
        journal(tmp_path / "states"),
        pytest.raises(InvalidOption, match="expected a folder in which no other job is running"),
    ):
        job(store, tmp_path / "states", resume=True)


def test_an_event_is_no_moment_for_all_streams_to_be_known_at(store: BaseStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="known_at: found 'event:5', expected a moment that is the same for all"):
        job(store, tmp_path / "states", known_at="event:5")


def test_a_store_that_is_not_there_leaves_a_folder_to_begin_in(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'later.db'}"
    with open_store(url) as nowhere, pytest.raises(StoreNotFound):
        job(nowhere, tmp_path / "states")
    with open_store(url, clock=lambda: NOW) as store:
        store.append(event("Counted", time="2026-03-01T12:00:00Z", number=1))
        assert job(store, tmp_path / "states", resume=True).states == 1


# The command


WAITING = (Path(__file__).parent / "counting.py").read_text()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Seven streams, of which the sixth waits in its handler for as long as the file `pipe` is there."""
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/counting.py", WAITING)
        with freeze_time("2026-03-03T00:00:00Z"):
            desk.store(
                *(
                    envelope("Counted", stream=stream, id=f"{stream}-1", time="2026-03-01T12:00:00Z", number=1)
                    for stream in STREAMS
                ),
                envelope("Waiting", stream="s-5", time="2026-03-02T12:00:00Z", pipe="pipe"),
            )
        yield desk


COMMAND = ("rebuild", "counting", "--all", "--at", "2026-03-05", "--known-at", "2026-03-05", "--part-streams", "2")


@pytest.mark.parametrize(("workers", "end"), [("1", signal.SIGKILL), ("2", signal.SIGKILL), ("2", signal.SIGINT)])
def test_a_job_that_was_ended_is_resumed_to_the_same_bytes(desk: Desk, workers: str, end: signal.Signals) -> None:
    assert desk.process(*COMMAND, "-o", "alone").code == 0
    alone = content(desk.folder / "alone")
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    with (
        desk.spawn(*COMMAND, "-o", "states", "--workers", workers, start_new_session=True) as process,
        pipe.open("rb", buffering=0) as reading,  # once a handler opens it, too
    ):
        try:
            assert reading.read(4) == b"here"
            process.send_signal(end)
            _, err = process.communicate(timeout=30)
            assert is_let_go(reading)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if end is signal.SIGINT:
        assert process.returncode == 130
        said = "eskit: interrupted; the same command with --resume goes on in 'states'"
        assert err.decode().splitlines()[-1] == said
    assert not (desk.folder / "states" / "part-00002.jsonl").exists()
    pipe.unlink()
    done = desk.process(*COMMAND, "-o", "states", "--workers", workers, "--resume")
    assert (done.code, done.out) == (0, "")
    resumed = content(desk.folder / "states")
    manifests = [json.loads(each.pop("manifest.json")) for each in (alone, resumed)]
    assert manifests[0].pop("began") != manifests[1].pop("began")
    assert manifests[0] == manifests[1]
    assert resumed == alone


def test_the_command_says_what_it_made(desk: Desk) -> None:
    done = desk.run(*COMMAND, "-o", "states/")
    assert (done.code, done.out) == (0, "")
    said = [line for line in done.talk if line != "talk"]
    assert said == [
        "eskit: at 2026-03-05T00:00:00.000000000Z, as known at 2026-03-05T00:00:00.000000000Z",
        "eskit: 7 states in 4 parts in 'states/', 7 with warnings",
    ]


def test_progress_has_the_rate_of_this_run_and_the_time_left() -> None:
    assert pace(0, 7_000, fresh=0, seconds=0.0) == "0 of 7,000 streams"
    assert pace(3_000, 7_000, fresh=400, seconds=20.0) == "3,000 of 7,000 streams, 20 a second, 3m20s left"


def test_the_exit_code_tells_that_a_stream_failed(desk: Desk) -> None:
    with freeze_time("2026-03-03T00:00:00Z"):
        desk.store(envelope("Broken", stream="s-1", id="e-9", time="2026-03-02T12:00:00Z", note="canary"))
    done = desk.run(*COMMAND, "-o", "states")
    assert done.code == 3
    assert "eskit: projection 'counting' failed at event 'e-9'" in done.err
    assert done.talk[-1] == "eskit: 6 states in 4 parts in 'states', 6 with warnings; 1 stream failed"
    assert "canary" not in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "eskit: --resume goes on with a job: -o FOLDER, or --into URL"),
        (["-o", "states", "--strict"], "eskit: --strict stops at the first stream that fails"),
    ],
)
def test_options_that_can_not_be_meant_are_refused(desk: Desk, arguments: list[str], message: str) -> None:
    done = desk.run("rebuild", "counting", "--all", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.talk[-1].startswith(message)


def test_workers_share_what_goes_to_stdout_or_one_file(desk: Desk) -> None:
    alone = desk.process("rebuild", "counting", "--all", "--at", "2026-03-05")
    spread = desk.process("rebuild", "counting", "--all", "--at", "2026-03-05", "--workers", "2")
    assert (spread.code, spread.out) == (0, alone.out)
    assert len(alone.records) == 7


def test_where_the_users_code_raised_is_said_of_a_worker_too(desk: Desk) -> None:
    with freeze_time("2026-03-03T00:00:00Z"):
        desk.store(envelope("Broken", stream="s-1", id="e-9", time="2026-03-02T12:00:00Z", note="canary"))
    alone, spread = (
        desk.process("rebuild", "counting", "s-1", "s-2", "--at", "2026-03-05", "--workers", workers)
        for workers in ("1", "2")
    )
    said = [line for line in alone.talk if "projections/counting.py:" in line]
    assert len(said) == 1
    assert [line for line in spread.talk if "projections/counting.py:" in line] == said
    assert (spread.code, spread.out) == (3, alone.out)
    assert "canary" not in spread.err
