from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventsourcing_kit import Rebuilt, open_store, parse, rebuild, rebuild_all
from eventsourcing_kit.demo import deliveries, run
from eventsourcing_kit.demo.example import copy_example, example_folder, load_example
from eventsourcing_kit.errors import ProjectionNotFound
from eventsourcing_kit.stores.base import BaseStore
from projections.shop import Order, Stock, orders, refunds, stock

ROOT = Path(__file__).parents[1]
MONTH = "897abaa551e54e323803a851358d165baf91bd4d841ba67487395a5334140054"  # SHA-256 of all deliveries, one a line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory in which the demo was run once."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def told(place: Path) -> list[str]:
    return tell(place)


@pytest.fixture
def store(place: Path, told: list[str]) -> Iterator[BaseStore]:
    with open_store(f"sqlite:///{place / 'demo.db'}") as store:
        yield store


def tell(place: Path, url: str | None = None) -> list[str]:
    lines: list[str] = []
    run(url or f"sqlite:///{place / 'demo.db'}", say=lines.append, directory=place)
    return lines


# The month


def test_the_month_is_the_same_each_time() -> None:
    assert list(deliveries()) == list(deliveries())


@pytest.mark.parametrize(("hash_seed", "zone"), [("0", "UTC"), ("1", "Asia/Tokyo")])
def test_the_month_is_the_same_in_every_process_and_zone(hash_seed: str, zone: str) -> None:
    script = (
        "import hashlib\n"
        "from eventsourcing_kit.demo import deliveries\n"
        "lines = ''.join(f'{arrived} {envelope}\\n' for arrived, envelope in deliveries())\n"
        "print(hashlib.sha256(lines.encode()).hexdigest())"
    )
    environ = os.environ | {"PYTHONHASHSEED": hash_seed, "TZ": zone}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, check=True)
    assert done.stdout.decode().strip() == MONTH


def test_deliveries_come_in_the_order_of_arrival_and_never_before_their_moment() -> None:
    arrivals = [(arrived, parse(envelope)) for arrived, envelope in deliveries()]
    assert [arrived for arrived, _ in arrivals] == sorted(arrived for arrived, _ in arrivals)
    assert all(arrived > event.moment_ns for arrived, event in arrivals)
    assert len(arrivals) == 1968


def test_some_deliveries_overtake_others() -> None:
    moments = [parse(envelope).moment_ns for _, envelope in deliveries()]
    assert moments != sorted(moments)


def test_moments_are_spelled_with_several_offsets_and_precisions() -> None:
    times = [json.loads(envelope)["detail"]["metaData"]["time"] for _, envelope in deliveries()]
    assert {re.sub(r"\d", "9", time) for time in times} == {
        "9999-99-99T99:99:99.999+99:99",
        "9999-99-99T99:99:99.999999+99:99",
        "9999-99-99T99:99:99.999999999Z",
    }
    assert {time[-6:] for time in times if not time.endswith("Z")} == {"+00:00", "+01:00", "+02:00"}


def test_every_cause_is_an_event_of_the_month() -> None:
    events = [parse(envelope) for _, envelope in deliveries()]
    causes = {event.causation_id for event in events if event.causation_id is not None}
    assert causes <= {event.id for event in events}


# The run


def test_it_counts_what_was_stored_and_what_came_again(told: list[str]) -> None:
    assert told[4:8] == [
        "  1,865  stored",
        "     81    of them twins, beside another event of that type in the same millisecond",
        "    103  duplicates, which changed nothing",
        "     17    of them under another id, as their producer had sent them again",
    ]


def test_it_shows_the_refunded_order_before_between_and_behind_its_refunds(told: list[str]) -> None:
    assert told[10:20] == [
        "",
        "  order-0187  cancelled, balance -64.80",
        "",
        "What happened to order-0187? Its state is stored nowhere: it is rebuilt from its events, up to any",
        "moment that you ask for.",
        "",
        "  as it was at  status      paid  refunded  events  last event (UTC)             complete  warnings",
        "  2026-03-19    paid       64.80      0.00       2  PaymentCaptured 03-18 18:51  yes       none",
        "  2026-03-20    cancelled  64.80     64.80       4  PaymentRefunded 03-19 07:36  yes       none",
        "  2026-03-22    cancelled  64.80    129.60       5  PaymentRefunded 03-21 09:13  yes       none",
    ]


def test_it_shows_what_was_known_before_and_behind_the_late_event(told: list[str]) -> None:
    assert told[26:30] == [
        "  as known at   status      paid  refunded  events  last event (UTC)             complete  warnings",
        "  2026-03-15    placed      0.00      0.00       1  OrderPlaced 03-13 12:09      yes       none",
        "  2026-03-17    paid       36.50      0.00       2  PaymentCaptured 03-13 12:10  yes       1 late",
        "",
    ]


def test_no_line_is_too_long_to_read(place: Path, told: list[str]) -> None:
    lines = [line.replace(f"/{place}", "") for line in told]
    assert "some in the wrong order. Now they are in sqlite:///demo.db:" in lines
    assert [line for line in lines if len(line) > 100 and not line.startswith("  eskit")] == []


def test_a_second_run_finds_duplicates_only_and_gives_the_same_answers(tmp_path: Path) -> None:
    first, second = tell(tmp_path), tell(tmp_path)
    assert second[4:8] == [
        "      0  stored",
        "      0    of them twins, beside another event of that type in the same millisecond",
        "  1,968  duplicates, which changed nothing",
        "     17    of them under another id, as their producer had sent them again",
    ]
    assert second[8:30] == first[8:30]


def test_a_store_in_memory_is_enough_for_the_answers(tmp_path: Path, told: list[str]) -> None:
    lines = tell(tmp_path, "sqlite://")
    assert lines[4:30] == told[4:30]
    assert "in memory" in lines[-1]


def test_the_commands_that_it_names_work_where_it_ran(place: Path, told: list[str]) -> None:
    commands = [shlex.split(line) for line in told if line.startswith("  eskit ")]
    answers = []
    for _, *arguments in commands:
        done = subprocess.run(
            [sys.executable, "-m", "eventsourcing_kit.cli", *arguments],
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (arguments, done.stderr)
        answers.append([json.loads(line) for line in done.stdout.splitlines()])
    streams, events, between, then_known, steps, wrong, trail, by_cancellation, mugs = answers
    assert [step["number"] for step in steps] == [1, 2, 3, 4, 5]
    assert [found["id"] for found in wrong] == ["f3b75852-9548-5f0c-b06f-417fe90fb4d8"]
    assert len(trail) == 9
    assert len(streams) == 310
    assert len(events) == 5
    cancellation = "ac7b710d-d9c3-5f45-a376-1b6ea6a4cbc9"
    assert [answer[0]["state"] for answer in (between, then_known, by_cancellation, mugs)] == [
        {"status": "cancelled", "total": 6480, "paid": 6480, "refunded": 6480, "balance": 0},
        {"status": "placed", "total": 3650, "paid": 0, "refunded": 0, "balance": 0},
        {cancellation: 12960},
        {"on_hand": 65, "reserved": 3},
    ]


# What it left in the store


def test_the_double_refund_is_the_only_one(store: BaseStore) -> None:
    balances = {found.stream: found.state.balance for found in rebuild_all(orders, store, streams="order-")}
    assert len(balances) == 300
    assert {stream: balance for stream, balance in balances.items() if balance < 0} == {"order-0187": -6480}


@pytest.mark.parametrize(
    ("at", "state", "events"),
    [
        ("2026-03-18", Order(), 0),
        ("2026-03-19", Order("paid", total=6480, paid=6480, balance=6480), 2),
        ("2026-03-20", Order("cancelled", total=6480, paid=6480, refunded=6480), 4),
        ("2026-03-22", Order("cancelled", total=6480, paid=6480, refunded=12960, balance=-6480), 5),
    ],
)
def test_the_refunded_order_at_a_moment(store: BaseStore, at: str, state: Order, events: int) -> None:
    rebuilt = rebuild(orders, store, "order-0187", at=at)
    assert (rebuilt.state, rebuilt.events, rebuilt.complete, rebuilt.warnings) == (state, events, True, ())


def test_both_refunds_were_for_one_cancellation(store: BaseStore) -> None:
    assert rebuild(refunds, store, "order-0187", at="2026-03-20").state == {
        "ac7b710d-d9c3-5f45-a376-1b6ea6a4cbc9": 6480
    }
    assert rebuild(refunds, store, "order-0187").state == {"ac7b710d-d9c3-5f45-a376-1b6ea6a4cbc9": 12960}


def test_the_late_payment_counts_from_the_moment_at_which_it_was_known(store: BaseStore) -> None:
    late = "2026-03-16T12:10:05.712392Z"
    before = rebuild(orders, store, "order-0131", at="2026-03-14", known_at="2026-03-16T12:10:05.712391Z")
    after = rebuild(orders, store, "order-0131", at="2026-03-14", known_at=late)
    assert (before.state, before.events) == (Order("placed", total=3650), 1)
    assert (after.state, after.events) == (Order("paid", total=3650, paid=3650, balance=3650), 2)
    assert after == rebuild(orders, store, "order-0131", at="2026-03-14", known_at=late)


def test_only_the_late_payment_is_warned_of(store: BaseStore) -> None:
    answers: list[Rebuilt[Any]] = [*rebuild_all(orders, store, streams="order-")]
    answers += rebuild_all(stock, store, streams="sku-")
    found = [(answer.stream, warning.kind, warning.count) for answer in answers for warning in answer.warnings]
    assert found == [("order-0131", "late", 1)]


def test_two_lines_of_one_thing_are_two_events_of_one_millisecond(store: BaseStore) -> None:
    both = list(store.read("sku-mug", start="2026-03-14T09:47:26.263Z", at="2026-03-14T09:47:26.264Z"))
    assert [(event.type, event.data["order"], event.data["line"]) for event in both] == [
        ("StockReserved", "order-0146", 1),
        ("StockReserved", "order-0146", 3),
    ]
    assert [event.key for event in both] == [
        "2026-03-14T09:47:26.263Z#StockReserved",
        "2026-03-14T09:47:26.263Z#StockReserved##46cc10595fc30362",
    ]


def test_stock_is_never_promised_twice(store: BaseStore) -> None:
    for day in range(2, 32):
        for found in rebuild_all(stock, store, streams="sku-", at=f"2026-03-{day:02d}"):
            assert 0 <= found.state.reserved <= found.state.on_hand
    assert rebuild(stock, store, "sku-mug", at="2026-03-18").state == Stock(on_hand=72, reserved=2)


# The example


def test_it_puts_the_example_where_there_is_none(place: Path, told: list[str]) -> None:
    assert "projections/shop.py has the functions that made these states; the demo has put it there." in told
    assert (place / "projections" / "shop.py").read_text() == (ROOT / "projections" / "shop.py").read_text()
    assert (place / "projections" / "__init__.py").read_text() == (ROOT / "projections" / "__init__.py").read_text()


def test_it_leaves_a_users_own_projections_alone(tmp_path: Path) -> None:
    (tmp_path / "projections").mkdir()
    (tmp_path / "projections" / "mine.py").write_text("# mine\n")
    lines = tell(tmp_path)
    assert [path.name for path in (tmp_path / "projections").iterdir()] == ["mine.py"]
    assert not any("rebuild" in line for line in lines if line.startswith("  eskit"))


def test_a_module_named_projections_is_the_users_own_too(tmp_path: Path) -> None:
    (tmp_path / "projections.py").write_text("# mine\n")
    assert not copy_example(tmp_path)
    assert not (tmp_path / "projections").exists()


def test_the_wheel_carries_the_example_to_where_the_demo_looks_first(tmp_path: Path) -> None:
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    for source, target in targets["wheel"]["force-include"].items():
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / target).write_bytes((ROOT / source).read_bytes())
    folder = example_folder(tmp_path / "eventsourcing_kit")
    assert folder == tmp_path / "eventsourcing_kit" / "_example"
    assert load_example(folder).orders.types == orders.types
    assert copy_example(tmp_path / "elsewhere", folder)
    assert sorted(path.name for path in (tmp_path / "elsewhere" / "projections").iterdir()) == [
        "__init__.py",
        "shop.py",
    ]


def test_in_a_checkout_the_example_is_the_one_in_projections() -> None:
    assert example_folder(ROOT / "eventsourcing_kit") == ROOT / "projections"


def test_an_installation_without_its_example_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProjectionNotFound, match=r"there is no shop\.py"):
        example_folder(tmp_path / "eventsourcing_kit")
