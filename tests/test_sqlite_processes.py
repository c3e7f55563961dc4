"""The SQLite store between processes: what was acknowledged outlives a kill -9, and nobody waits for a reading.

Each child process runs a few lines of Python against the store and talks in lines: it says where it is, and waits to be
told to go on. So these tests assert what happens before what, and measure no time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

import apsw
import pytest

from eventsourcing_kit import open_store
from eventsourcing_kit.testing import event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit import Event

ROOT = Path(__file__).parents[1]
STREAM = "order-17"
DEADLINE = 120  # seconds after which a child is killed, so that a test that hangs fails

PREAMBLE = """
import os, signal, sys
from eventsourcing_kit import open_store
from eventsourcing_kit.errors import StoreError
from tests.test_sqlite_processes import noted

def say(line):
    print(line, flush=True)

def wait():
    assert sys.stdin.readline() == "go on\\n"

url, *arguments = sys.argv[1:]
"""


def noted(number: int, stream: str = STREAM, note: str = "") -> Event:
    """The event with that number; numbers go up with moments, five in a second."""
    second, fifth = divmod(number, 5)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{fifth * 2}"
    return event("Noted", stream=stream, time=f"2026-03-01T{clock}Z", number=number, note=note)


class Child:
    """A process that runs `code` with the store's URL and `arguments`."""

    def __init__(self, code: str, url: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + code, url, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        self._watch = threading.Timer(DEADLINE, self.process.kill)
        self._watch.start()

    def line(self) -> str:
        """The next line that it says; empty when it has ended."""
        return self._output.readline().rstrip("\n")

    def rest(self) -> list[str]:
        """All lines until it ends."""
        return self._output.read().splitlines()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go on\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self._watch.cancel()
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    @property
    def _output(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout


@contextmanager
def children(count: int, code: str, url: str, *arguments: object) -> Iterator[list[Child]]:
    """That many processes; each gets its own number behind `arguments`."""
    started: list[Child] = []
    try:
        for number in range(count):
            started.append(Child(code, url, *arguments, number))  # noqa: PERF401 - those that were started are ended
        yield started
    finally:
        for child in started:
            child.close()


@contextmanager
def child(code: str, url: str, *arguments: object) -> Iterator[Child]:
    with children(1, code, url, *arguments) as (one,):
        yield one


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'events.db'}"


def numbers(url: str, stream: str = STREAM) -> list[int]:
    with open_store(url) as store:
        return [read.data["number"] for read in store.read(stream)]


def problems(url: str) -> list[str]:
    """What SQLite's integrity check finds."""
    from eventsourcing_kit.stores.sqlite import SQLiteStore

    with open_store(url) as store:
        assert isinstance(store, SQLiteStore)
        return store.check()


# Killed


@pytest.mark.parametrize("acknowledged", [1, 7, 60])
def test_what_was_acknowledged_is_there_after_a_kill(url: str, acknowledged: int) -> None:
    code = """
store = open_store(url)
for number in range(100_000):
    assert store.append(noted(number)) == "stored"
    say(number)
"""
    with child(code, url) as writer:
        for _ in range(acknowledged):
            writer.line()
        writer.kill()
        said = acknowledged + len(writer.rest())
    stored = numbers(url)
    assert stored == list(range(len(stored)))
    assert said <= len(stored) <= said + 1
    assert problems(url) == []
    with open_store(url) as store:
        assert store.append(noted(len(stored))) == "stored"


def test_a_batch_whose_writer_is_killed_in_its_middle_leaves_nothing_of_itself(url: str) -> None:
    code = """
store = open_store(url)
put = store._put

def die_in_the_middle(record):
    if "00:05:00.0" in record.sk:  # the 1,501st
        os.kill(os.getpid(), signal.SIGKILL)
    return put(record)

store._put = die_in_the_middle
store.append_many(noted(number, note="x" * 3_000) for number in range(2_500))
"""
    with child(code, url) as writer:
        assert writer.process.wait() == -signal.SIGKILL
    assert numbers(url) == list(range(1_000))
    assert problems(url) == []


@pytest.mark.parametrize("batches", [1, 3])
def test_a_kill_at_any_moment_leaves_whole_batches(url: str, batches: int) -> None:
    code = """
store = open_store(url)
for number, outcome in enumerate(store.append_each(noted(number, note="x" * 300) for number in range(100_000)), 1):
    if number % 1_000 == 0:
        say(number)
"""
    with child(code, url) as writer:
        for _ in range(batches):
            writer.line()
        writer.kill()
        said = batches + len(writer.rest())
    stored = numbers(url)
    assert stored == list(range(len(stored)))
    assert len(stored) in (said * 1_000, said * 1_000 + 1_000)
    assert problems(url) == []


# Several at once


@pytest.mark.parametrize("verb", ["append", "append_many"])
def test_eight_processes_make_one_new_file_and_lose_nothing(url: str, verb: str) -> None:
    code = """
verb, me = arguments
events = [*(noted(number) for number in range(20)), *(noted(number, stream=f"order-{me}") for number in range(30))]
say("ready")
wait()
with open_store(url) as store:
    if verb == "append":
        outcomes = [store.append(one) for one in events]
        say(f"{outcomes.count('stored')} {outcomes.count('duplicate')}")
    else:
        counts = store.append_many(events)
        say(f"{counts.stored} {counts.duplicate}")
"""
    with children(8, code, url, verb) as writers:
        assert [writer.line() for writer in writers] == ["ready"] * 8
        for writer in writers:
            writer.go_on()
        counts = [tuple(map(int, writer.line().split())) for writer in writers]
        assert [writer.process.wait() for writer in writers] == [0] * 8
    assert sum(stored for stored, _ in counts) == 20 + 8 * 30
    assert sum(duplicate for _, duplicate in counts) == 7 * 20
    assert numbers(url) == list(range(20))
    assert [numbers(url, f"order-{me}") for me in range(8)] == [list(range(30))] * 8
    assert problems(url) == []


def test_processes_that_open_and_close_all_the_time_lose_nothing(url: str) -> None:
    code = """
(me,) = arguments
for number in range(25):  # closing as the last one takes the journal away, while another one opens the file
    with open_store(url) as store:
        assert store.append(noted(number, stream=f"order-{me}")) == "stored"
        assert sum(1 for _ in store.read(f"order-{me}")) == number + 1
"""
    with children(4, code, url) as writers:
        assert [writer.process.wait() for writer in writers] == [0] * 4
    assert [numbers(url, f"order-{me}") for me in range(4)] == [list(range(25))] * 4
    assert problems(url) == []


def test_an_append_does_not_wait_for_a_reading_in_another_process(url: str) -> None:
    code = """
with open_store(url) as store:
    reading = store.read("order-17")
    first = next(reading).data["number"]
    say("reading")
    wait()
    rest = [one.data["number"] for one in reading]
    say(f"{first} {rest == list(range(1, 3_000))}")
"""
    with open_store(url) as store:
        store.append_many(noted(number, note="x" * 300) for number in range(3_000))
        with child(code, url) as reader:
            assert reader.line() == "reading"
            assert store.append(noted(3_000)) == "stored"
            assert store.append_many(noted(number) for number in range(3_000, 6_000)).stored == 2_999
            reader.go_on()
            assert reader.line() == "0 True"
    assert len(numbers(url)) == 6_000


def test_a_reading_does_not_wait_for_a_batch_in_another_process(url: str) -> None:
    code = """
store = open_store(url)
put = store._put

def pause_in_the_middle(record):
    if "00:05:00.0" in record.sk:  # the 1,501st
        say("writing")
        wait()
    return put(record)

store._put = pause_in_the_middle
say(store.append_many(noted(number) for number in range(1_000, 2_000)))
"""
    with open_store(url) as store:
        store.append_many(noted(number) for number in range(1_000))
        with child(code, url) as writer:
            assert writer.line() == "writing"
            assert numbers(url) == list(range(1_000))
            assert [read.data["number"] for read in store.read(STREAM)] == list(range(1_000))
            assert list(store.streams()) == [STREAM]
            writer.go_on()
            assert writer.line() == "Counts(stored=1000, duplicate=0, other_id=0, twins=0)"
        assert [read.data["number"] for read in store.read(STREAM)] == list(range(2_000))


def test_a_store_does_not_go_through_a_fork(url: str) -> None:
    code = """
store = open_store(url)
store.append(noted(0))
child = os.fork()
if child == 0:
    for use in (lambda: store.append(noted(1)), lambda: list(store.read("order-17"))):
        try:
            use()
        except StoreError as error:
            say(error.code)
    with open_store(url) as own:
        say(own.append(noted(1)))
    os._exit(0)
os.waitpid(child, 0)
say(store.append(noted(2)))
"""
    with child(code, url) as forking:
        assert forking.rest() == ["opened before this process was forked"] * 2 + ["stored", "stored"]
    assert numbers(url) == [0, 1, 2]
    assert problems(url) == []


# What the system does not give


FORBIDDEN = """
with open_store("sqlite://") as store:  # so that all modules are loaded, which nobody may not read either
    store.append(noted(0))
    list(store.read("order-17"))

if os.getuid() == 0:
    os.setuid(65_534)  # nobody, for whom permissions hold

for use in (lambda store: len(list(store.read("order-17"))), lambda store: store.append(noted(1))):
    with open_store(url) as store:
        try:
            say(use(store))
        except StoreError as error:
            say(f"{type(error).__name__} {getattr(error, 'code', '')}")
"""


@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "says"),
    [
        (0o444, 0o777, ["1", "StoreUnavailable SQLITE_READONLY"]),
        (0o444, 0o555, ["StoreUnavailable SQLITE_READONLY_DIRECTORY"] * 2),
        (0o000, 0o777, ["StoreUnavailable SQLITE_CANTOPEN"] * 2),
        (0o666, 0o000, ["StoreUnavailable SQLITE_CANTOPEN"] * 2),
    ],
    ids=["a file that can only be read", "a directory that can only be read", "a closed file", "a closed directory"],
)
def test_what_is_not_permitted_is_an_error(file_mode: int, directory_mode: int, says: list[str]) -> None:
    with TemporaryDirectory() as name:  # not pytest's own, to which nobody would not even come
        directory = Path(name)
        file = directory / "events.db"
        with open_store(f"sqlite:///{file}") as store:
            store.append(noted(0))
        before = file.read_bytes()
        file.chmod(file_mode)
        directory.chmod(directory_mode)
        try:
            with child(FORBIDDEN, f"sqlite:///{file}") as nobody:
                assert nobody.rest() == says
        finally:
            directory.chmod(0o755)
            file.chmod(0o644)
        assert file.read_bytes() == before


def test_a_file_that_may_not_grow_is_an_error_and_the_store_goes_on(url: str) -> None:
    code = """
import resource
store = open_store(url)
store.append(noted(0))
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, unlimited[1]))
stored = 1
try:
    for number in range(1, 1_000):
        store.append(noted(number, note="x" * 3_000))
        stored += 1
except StoreError as error:
    say(f"{type(error).__name__} {error.code}")
say(len(list(store.read("order-17"))) == stored)
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
say(store.append_many(noted(number) for number in range(1_000, 1_100)).stored)
say(store.check())
say(len(list(store.read("order-17"))) == stored + 100)
"""
    with child(code, url) as writer:
        assert writer.rest() == ["StoreUnavailable SQLITE_IOERR_WRITE", "True", "100", "[]", "True"]
    assert problems(url) == []


def test_the_memory_of_a_reading_does_not_grow_with_the_stream(url: str) -> None:
    code = """
import resource
(at, _) = arguments
with open_store(url) as store:
    sum(1 for _ in store.read("order-17", at="2026-03-01T00:15:00Z"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(1 for _ in store.read("order-17", at=at))
    say(f"{count} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before}")
"""
    with open_store(url) as store:
        store.create_table()
    with closing(apsw.Connection(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("""
            WITH RECURSIVE numbers (value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM numbers LIMIT 200000)
            INSERT INTO events (pk, sk, eventId, eventTime, source, detailType, eventDetail)
            SELECT 'order-17', strftime('%Y-%m-%dT%H:%M:%fZ', '2026-03-01', value || ' seconds') || '#Noted',
                   'e' || value, '2026-03-01T00:00:00Z', 'shop', 'Noted', '{"data":{"number":' || value || '}}'
            FROM numbers
        """)
    grown = {}
    for at in ("2026-03-01T05:33:19Z", "2026-03-31"):
        with child(code, url, at) as reader:
            count, kilobytes = map(int, reader.line().split())
        grown[count] = kilobytes / (1 if sys.platform != "darwin" else 1_024)
    assert list(grown) == [20_000, 200_000]
    assert grown[200_000] - grown[20_000] < 8_192
