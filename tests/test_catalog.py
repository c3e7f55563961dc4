from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.catalog import load
from eventsourcing_kit.errors import InvalidProjection, ProjectionNotFound
from tests.eskit import without_projections

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    with without_projections():
        yield
    for name in set(sys.modules) - before:
        if name.startswith(("shop", "neighbour")):
            del sys.modules[name]


def defining(*names: str) -> str:
    definitions = [f"{name} = Projection('{name}', initial=dict)\n" for name in names]
    return "from eventsourcing_kit import Projection\n" + "".join(definitions)


def write(folder: Path, modules: dict[str, str]) -> Path:
    """Files by their paths in `folder`."""
    for name, content in modules.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def package(folder: Path) -> None:
    (folder / "__init__.py").touch()


def test_a_package_projections_in_the_directory_is_found_with_all_its_modules(tmp_path: Path) -> None:
    write(
        tmp_path, {"projections/orders.py": defining("orders"), "projections/shop/stock.py": defining("stock", "mugs")}
    )
    package(tmp_path / "projections")
    package(tmp_path / "projections" / "shop")
    catalog = load(directory=tmp_path)
    assert catalog.names == ("mugs", "orders", "stock")
    assert catalog.source == f"package 'projections' in '{tmp_path}'"
    assert catalog.problems == ()


def test_without_an_init_the_package_here_still_goes_before_one_elsewhere_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = write(tmp_path / "elsewhere", {"projections/orders.py": defining("theirs")})
    package(elsewhere / "projections")
    monkeypatch.setattr(sys, "path", [str(elsewhere), *sys.path])
    here = write(tmp_path / "here", {"projections/orders.py": defining("ours")})
    assert load(directory=here).names == ("ours",)


def test_a_module_projections_is_as_good_as_a_package(tmp_path: Path) -> None:
    assert load(directory=write(tmp_path, {"projections.py": defining("orders")})).names == ("orders",)


def test_a_projection_that_two_modules_name_is_one(tmp_path: Path) -> None:
    write(tmp_path, {"projections/orders.py": defining("orders")})
    write(
        tmp_path,
        {"projections/__init__.py": "from projections.orders import orders\nfrom projections.orders import *\n"},
    )
    catalog = load(directory=tmp_path)
    assert catalog.names == ("orders",)
    assert catalog.get("orders").name == "orders"
    assert catalog.problems == ()


def test_two_projections_of_one_name_are_an_error_that_names_both_places(tmp_path: Path) -> None:
    write(tmp_path, {"projections/a.py": defining("orders"), "projections/b.py": defining("orders", "stock")})
    catalog = load(directory=tmp_path)
    message = (
        "projection 'orders': it is defined 2 times: projections.a:orders, projections.b:orders; names must differ"
    )
    with pytest.raises(InvalidProjection) as raised:
        catalog.get("orders")
    assert str(raised.value) == message
    assert [str(problem) for problem in catalog.problems] == [f"'orders': {message.partition(': ')[2]}"]
    assert [projection.name for projection in catalog] == ["stock"]


def test_tests_and_scripts_inside_of_the_package_are_not_imported(tmp_path: Path) -> None:
    stop = "raise RuntimeError('imported')\n"
    write(
        tmp_path,
        {
            "projections/test_orders.py": stop,
            "projections/conftest.py": stop,
            "projections/orders.py": defining("orders"),
        },
    )
    write(tmp_path, {"projections/__main__.py": stop})
    assert load(directory=tmp_path).problems == ()


def test_a_module_a_package_and_an_attribute_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, {"shop/orders.py": defining("orders"), "shop/stock.py": defining("stock", "mugs")})
    assert load("shop.stock", directory=tmp_path).names == ("mugs", "stock")
    assert load("shop", directory=tmp_path).names == ("mugs", "orders", "stock")
    assert load("shop.stock:mugs", directory=tmp_path).names == ("mugs",)


def test_an_attribute_may_be_a_list_of_projections(tmp_path: Path) -> None:
    write(tmp_path, {"shop.py": defining("orders", "stock", "mugs") + "shown = [orders, mugs]\n"})
    assert load("shop:shown", directory=tmp_path).names == ("mugs", "orders")


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        ("shop:nothing", "'shop:nothing': there is no 'nothing' in that module"),
        ("shop:number", "'shop:number': it has the type int, expected a Projection"),
        ("shop.more", "'shop.more': there is no module 'shop.more'"),
        (
            "shop/a.py",
            "'shop/a.py': there is no module 'shop/a', expected a dotted name such as 'projections.orders'",
        ),
    ],
)
def test_what_is_named_and_not_there_is_a_problem(tmp_path: Path, app: str, problem: str) -> None:
    write(tmp_path, {"shop/module.py": "", "shop/__init__.py": "number = 1\n"})
    catalog = load(app, directory=tmp_path)
    assert [str(found) for found in catalog.problems] == [problem]
    with pytest.raises(ProjectionNotFound, match="there is none"):
        catalog.get("orders")


def test_a_module_that_can_not_be_imported_is_a_problem_and_the_others_are_there(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "projections/broken.py": "import json\nimport no_such_library\n",
            "projections/exits.py": "raise SystemExit(1)\n",
            "projections/orders.py": defining("orders"),
            "projections/twice.py": defining("x") + "x.on('A')(lambda s, e: s)\nx.on('A')(lambda s, e: s)\n",
            "projections/typo.py": "def (\n",
        },
    )
    catalog = load(directory=tmp_path)
    assert catalog.names == ("orders",)
    where = tmp_path / "projections"
    assert [str(problem) for problem in catalog.problems] == [
        f"'projections.broken': ModuleNotFoundError: No module named 'no_such_library' ({where / 'broken.py'}:2)",
        f"'projections.exits': SystemExit: 1 ({where / 'exits.py'}:1)",
        f"'projections.twice': projection 'x': type 'A' has a handler already ({where / 'twice.py'}:4)",
        "'projections.typo': SyntaxError: invalid syntax (typo.py, line 1)",
    ]


def test_a_name_that_is_not_there_is_answered_with_those_that_are_and_with_the_problems(tmp_path: Path) -> None:
    write(tmp_path, {"projections/orders.py": defining("orders", "stock"), "projections/broken.py": "1 / 0\n"})
    catalog = load(directory=tmp_path)
    with pytest.raises(ProjectionNotFound) as raised:
        catalog.get("order")
    broken = f"'projections.broken': ZeroDivisionError: division by zero ({tmp_path / 'projections' / 'broken.py'}:1)"
    assert raised.value.reason == f"there are 'orders', 'stock'; {broken}"
    assert raised.value.where == f"package 'projections' in '{tmp_path}'"


def test_where_there_is_nothing_the_catalog_is_empty(tmp_path: Path) -> None:
    catalog = load(directory=tmp_path)
    assert (catalog.names, catalog.problems) == ((), ())


def test_a_module_here_may_import_its_neighbours_and_the_path_is_as_before_then(tmp_path: Path) -> None:
    write(tmp_path, {"neighbour.py": "NAME = 'orders'\n"})
    write(tmp_path, {"shop.py": defining() + "from neighbour import NAME\norders = Projection(NAME, initial=dict)\n"})
    before = list(sys.path)
    assert load("shop", directory=tmp_path).names == ("orders",)
    assert sys.path == before


def test_a_file_younger_than_the_process_is_found(tmp_path: Path) -> None:
    assert load("shop", directory=tmp_path).names == ()
    before = tmp_path.stat()
    write(tmp_path, {"shop.py": defining("orders")})
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as where the clock of the disk is coarse
    assert load("shop", directory=tmp_path).names == ("orders",)


def test_projections_that_were_imported_from_elsewhere_are_not_taken_for_those_here(tmp_path: Path) -> None:
    first = write(tmp_path / "first", {"projections/orders.py": defining("first")})
    second = write(tmp_path / "second", {"projections/orders.py": defining("second")})
    assert load(directory=first).names == ("first",)
    catalog = load(directory=second)
    assert catalog.names == ()
    reason = "another module of that name was found first; name yours otherwise"
    assert [str(problem) for problem in catalog.problems] == [f"'projections': {reason}"]


def test_entry_points_go_before_the_package_in_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = write(
        tmp_path / "installed", {"shop.py": defining("orders", "stock"), "shop_rest.py": defining("mugs")}
    )
    information = installed / "shop-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[eventsourcing_kit.projections]\norders = shop:orders\nrest = shop_rest\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(installed)])
    here = write(tmp_path / "here", {"projections/orders.py": defining("ours")})
    catalog = load(directory=here)
    assert catalog.names == ("mugs", "orders")
    assert catalog.source == "the entry points 'eventsourcing_kit.projections'"


def test_the_place_of_a_projection_is_where_it_can_be_imported_from(tmp_path: Path) -> None:
    both = "\n\nclass holder:\n    both = [orders, stock]\n"
    write(tmp_path, {"shop_places.py": defining("orders", "stock") + both})
    assert load("shop_places", directory=tmp_path).place("stock") == "shop_places:stock"
    assert load("shop_places:orders", directory=tmp_path).place("orders") == "shop_places:orders"
    catalog = load("shop_places:holder.both", directory=tmp_path)
    assert [catalog.place(name) for name in catalog.names] == [
        "shop_places:holder.both[0]",
        "shop_places:holder.both[1]",
    ]
    with pytest.raises(ProjectionNotFound, match="'nobody'"):
        catalog.place("nobody")
