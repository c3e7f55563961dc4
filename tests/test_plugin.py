"""pytest's plugin, in runs of pytest of their own, installed as a distribution is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from eventsourcing_kit.testing import envelope
from tests.eskit import ROOT, lines

ENTRY_POINT = "[pytest11]\neventsourcing_kit = eventsourcing_kit.testing.plugin\n"


@dataclass(frozen=True)
class Run:
    """A folder with tests, in a Python where the kit is installed with its plugin."""

    folder: Path

    def write(self, name: str, content: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(content)

    def pytest(self, *arguments: str, code: int = 0) -> str:
        path = os.pathsep.join([str(self.folder / "site"), str(ROOT)])
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "RewriteWarning" not in done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path)
    made = "site/eventsourcing_kit_plugin-0.dist-info"  # what pip would have made of the kit's own entry point
    run.write(f"{made}/METADATA", "Metadata-Version: 2.1\nName: eventsourcing-kit-plugin\nVersion: 0\n")
    run.write(f"{made}/entry_points.txt", ENTRY_POINT)
    files = (path.relative_to(ROOT) for path in (ROOT / "eventsourcing_kit").rglob("*.py"))
    run.write(f"{made}/RECORD", "".join(f"{file},,\n" for file in files))  # pytest rewrites asserts in these
    run.write("pytest.ini", "[pytest]\n")
    return run


ORDERS = """
from eventsourcing_kit import Projection

orders = Projection("orders", initial=dict)


@orders.on("Paid")
def paid(state, event):
    return {"paid": state.get("paid", 0) + event.data["amount"]}
"""


def test_the_fixtures_are_there(run: Run) -> None:
    run.write("orders.py", ORDERS)
    run.write(
        "test_orders.py",
        """
import pytest
from eventsourcing_kit.errors import StoreUnavailable
from orders import orders

made = []


@pytest.mark.parametrize("n", [1, 2])
def test_each_test_has_an_empty_store_and_a_stream_of_its_own(n, event_store, event_factory, given):
    paid, more = event_factory("Paid", amount=n), event_factory("Paid", amount=1)
    assert list(event_store.streams()) == []
    assert [event_store.append(paid), event_store.append(more), event_store.append(paid)] == [
        "stored", "stored", "duplicate"
    ]
    assert paid.stream == more.stream == event_factory.stream == f"test_orders.py::{TEST}[{n}]"
    assert paid.moment < more.moment
    given(orders, *event_store.read(paid.stream)).then({"paid": n + 1})
    made.append((event_store, paid))


TEST = "test_each_test_has_an_empty_store_and_a_stream_of_its_own"


def test_the_stores_are_closed_and_the_moments_are_the_same():
    (one, paid), (other, again) = made
    assert one is not other
    assert paid.moment == again.moment
    with pytest.raises(StoreUnavailable, match="closed"):
        one.append(paid)
""",
    )
    assert "3 passed" in run.pytest("-q")


def test_a_difference_is_shown(run: Run) -> None:
    run.write("orders.py", ORDERS)
    run.write(
        "test_orders.py",
        """
from orders import orders


def test_paid(event_factory, given):
    given(orders, event_factory("Paid", amount=2)).then({"paid": 3})
""",
    )
    said = run.pytest("-q", code=1)
    assert "-{'paid': 3}" in said
    assert "+{'paid': 2}" in said


def test_the_name_given_of_hypothesis_goes_before_the_fixture(run: Run) -> None:
    run.write(
        "test_law.py",
        """
from hypothesis import given, strategies as st


@given(st.integers())
def test_law(n):
    assert n == n
""",
    )
    assert "1 passed" in run.pytest("-q")


def test_golden_files_are_made_where_that_is_asked_for_and_never_else(run: Run) -> None:
    run.write("orders.py", ORDERS)
    run.write("tests/histories/a.jsonl", lines([envelope("Paid", id="e-1", amount=3)]))
    run.write(
        "tests/test_golden.py",
        """
from eventsourcing_kit.testing import assert_replay
from orders import orders


def test_histories():
    assert_replay("histories/*.jsonl", orders)
""",
    )
    golden = run.folder / "tests/histories/a.orders.golden.jsonl"
    missing = run.pytest("-q", code=1)
    assert "there is no golden file" in missing
    assert "pytest --update-golden" in missing
    assert not golden.exists()
    assert "golden file written: tests/histories/a.orders.golden.jsonl\n" in run.pytest("-q", "--update-golden")
    assert "written" not in run.pytest("-q", "--update-golden")
    assert "1 passed" in run.pytest("-q")
    assert "1 passed" in run.pytest("-q", "tests/test_golden.py", "-n", "1")
    run.write("orders.py", ORDERS.replace('event.data["amount"]', 'event.data["amount"] * 2'))
    parted = run.pytest("-q", code=1)
    assert "id 'e-1', of stream 'order-17':" in parted
    assert "/paid: expected 3, found 6" in parted
    before = golden.read_text()
    assert "1 passed" in run.pytest("-q", "--update-golden", "-n", "1")
    assert golden.read_text() == before.replace('"value":3', '"value":6')


def test_a_run_that_has_nothing_to_do_with_the_kit_loads_nothing_of_it(run: Run) -> None:
    run.write(
        "test_nothing.py",
        """
import sys


def test_nothing():
    heavy = {"pydantic", "apsw", "boto3", "msgspec", "jsonpatch", "jmespath", "whenever", "typer"}
    assert heavy & set(sys.modules) == set()
    assert sorted(name for name in sys.modules if name.startswith("eventsourcing_kit")) == [
        "eventsourcing_kit",
        "eventsourcing_kit.testing",
        "eventsourcing_kit.testing.plugin",
        "eventsourcing_kit.testing.updating",
    ]
""",
    )
    # Other people's plugins, which this Python may have, load what they like.
    assert "1 passed" in run.pytest("-q", "-p", "no:hypothesispytest", "-p", "no:anyio")


def test_the_plugin_is_there_once_however_it_is_asked_for_by_its_name(run: Run) -> None:
    run.write("test_option.py", "def test_option(event_store):\n    pass\n")
    assert "1 passed" in run.pytest("-q", "-p", "eventsourcing_kit")
    run.write("conftest.py", 'pytest_plugins = ["eventsourcing_kit"]\n')
    assert "1 passed" in run.pytest("-q")


def test_the_plugin_can_be_kept_out(run: Run) -> None:
    run.write("test_option.py", "def test_option(event_store):\n    pass\n")
    assert "fixture 'event_store' not found" in run.pytest("-q", "-p", "no:eventsourcing_kit", code=1)


def test_the_suite_for_stores_still_shows_both_values(run: Run) -> None:
    """Its asserts are rewritten, although the plugin has imported the package that it is in."""
    run.write(
        "test_store.py",
        """
import pytest
from eventsourcing_kit import open_store
from eventsourcing_kit.testing import StoreContract


class TestStore(StoreContract):
    @pytest.fixture
    def open_store(self, tmp_path):
        class Forgetful(type(open_store("sqlite://"))):
            def streams(self, prefix=""):
                return iter(["forgotten"])

        return lambda **options: Forgetful(tmp_path / "events.db", url="sqlite:///events.db", **options)
""",
    )
    assert "assert ['forgotten'] == [" in run.pytest("-q", "-k", "streams", code=1).replace("AssertionError: ", "")


def test_the_plugin_is_documented_in_the_help(run: Run) -> None:
    said = run.pytest("--help")
    assert "--update-golden" in said
    fixtures = run.pytest("--fixtures")
    assert "event_store -- " in fixtures
    assert "An empty store in memory" in fixtures
