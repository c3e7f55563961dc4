from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import apsw
import pytest

from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = """
from eventsourcing_kit import Projection
orders = Projection("orders", initial=dict)

@orders.on("Placed")
def placed(state, event):
    return {"count": state.get("count", 0) + 1}
"""
OTHER = CODE.replace('"orders"', '"others"').replace("orders =", "others =").replace("@orders", "@others")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Two streams with a snapshot of each of two projections."""
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/orders.py", CODE)
        desk.write("projections/others.py", OTHER)
        desk.store(*(envelope("Placed", stream=name, time="2026-03-01T12:00:00Z") for name in ("a", "b")))
        for name in ("orders", "others"):
            assert desk.process("rebuild", name, "--all", "--snapshots", "1").code == 0
        yield desk


def standings(desk: Desk, *arguments: str) -> list[tuple[str, str, str, bool]]:
    done = desk.process("snapshots", *arguments)
    assert done.code == 0
    found = ((line["stream"], line["projection"], line["standing"], line["deleted"]) for line in done.records)
    return sorted(found)


def test_snapshots_are_listed_with_what_they_are_worth(desk: Desk) -> None:
    (desk.folder / "projections/others.py").unlink()
    assert standings(desk, "--all") == [
        ("a", "orders", "current", False),
        ("a", "others", "foreign", False),
        ("b", "orders", "current", False),
        ("b", "others", "foreign", False),
    ]
    (line, _) = desk.process("snapshots", "a").records
    assert (line["number"], line["moment"], line["version"]) == (1, "2026-03-01T12:00:00.000000000Z", 1)
    assert desk.process("snapshots", "a").talk[-1] == "eskit: 2 snapshots"


def test_only_those_of_old_code_and_damaged_ones_are_deleted(desk: Desk) -> None:
    (desk.folder / "projections/others.py").unlink()
    desk.write("projections/orders.py", CODE.replace("+ 1", "+ 2"))
    assert desk.process("rebuild", "orders", "a", "--snapshots", "1").code == 0
    before = standings(desk, "--all")
    assert [standing for _, _, standing, _ in before] == ["current", "old", "foreign", "old", "foreign"]
    done = desk.process("snapshots", "--all", "--delete-old")
    assert "5 snapshots, 2 of them deleted (" in done.talk[-1]
    assert standings(desk, "--all", "--delete-old") == [
        ("a", "orders", "current", False),
        ("a", "others", "foreign", False),
        ("b", "others", "foreign", False),
    ]


def test_damaged_ones_are_known_by_their_checksum_and_deleted(desk: Desk) -> None:
    with closing(apsw.Connection(str(desk.folder / "events.db"))) as connection:
        connection.execute("UPDATE snapshots SET state = replace(state, '1', '2') WHERE pk = 'b'")
    found = standings(desk, "b", "--delete-old")
    assert found == [("b", "orders", "damaged", True), ("b", "others", "damaged", True)]
    assert standings(desk, "b") == []


def test_it_has_to_be_said_of_which_streams(desk: Desk) -> None:
    assert desk.run("snapshots").code == 2
