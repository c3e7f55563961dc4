"""The way of the data is one way: a module imports only from rows below its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import eventsourcing_kit

ROOT = Path(__file__).parents[1]

ROWS = [
    {"errors", "faithful", "fingerprint", "inert", "moment", "needs", "processes", "progress", "wholefile", "words"},
    {"carried", "checks", "event", "lines", "patches", "times"},
    {"blocks", "brief", "record", "models", "places", "upcast"},
    {
        "snapshot",
        "envelope",
        "handler",
        "stores.connections",
        "stores.pages",
        "stores.reading",
        "stores.url",
        "delivery",
    },
    {"stores.columns", "stores.dynamodb_table"},
    {"stores.contract", "stores.direct", "stores.windows"},
    {
        "span",
        "stores.facade",
        "stores.segments",
        "markers",
        "stores.brief_pages",
        "stores.sqlite_snapshots",
        "stores.dynamodb_index",
        "stores.dynamodb_snapshots",
    },
    {"stores.ahead", "stores.sqlite_file", "stores.together"},
    {"frames"},
    {"projection", "stores.base"},
    {"importable", "stores.sqlite", "stores.dynamodb"},
    {"stores", "resuming", "spool", "watching", "workers"},
    {"course"},
    {"outcomes", "scanning"},
    {"rebuilding", "catalog", "costs", "doctor", "migrate", "redrive", "tidying"},
    {"questions", "trails"},
    {"output", "verifying"},
    {"jobs"},
    {""},
    {"testing"},
    {"demo"},
    {"cli"},
    {"projections", "ingest"},
]

ROOMS = {
    "cli",
    "demo",
    "frames",
    "jobs",
    "questions",
    "testing",
    "trails",
    "verifying",
}  # whose modules import each other


def row(module: str) -> int:
    """The row of a dotted module below the package, by its longest named ancestor."""
    while True:
        for number, modules in enumerate(ROWS):
            if module in modules:
                return number
        assert "." in module, f"module '{module}' stands in no row"
        module = module.rpartition(".")[0]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts[1:] if parts[0] == "eventsourcing_kit" else parts[:1])


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = node.module or ""
            inner = [f"{module}.{alias.name}" for alias in node.names]
            names = [name if is_module(name) else module for name in inner]
        found |= {name for name in names if name.split(".")[0] == "eventsourcing_kit"}
    return {name.partition(".")[2] for name in found}


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


SOURCES = [*(ROOT / "eventsourcing_kit").rglob("*.py"), *(ROOT / "projections").rglob("*.py")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_rows_below_its_own(path: Path) -> None:
    module = module_of(path)
    room = module.split(".")[0]
    for imported in imports(path):
        inside = room in ROOMS and imported.split(".")[0] == room
        assert inside or row(imported) < row(module), f"'{module}' imports '{imported}'"


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


HEAVY = {
    *("boto3", "botocore", "apsw", "sqlite3", "pydantic", "typer", "rich", "dateparser", "pyarrow", "jmespath"),
    *("altair", "arro3", "narwhals", "pandas", "polars"),
}


def test_importing_the_kit_loads_no_driver_and_no_pydantic() -> None:
    assert loaded_by("import eventsourcing_kit") & HEAVY == set()
    assert loaded_by("from eventsourcing_kit import *") & HEAVY == set()


def test_every_public_name_is_there_whichever_module_was_imported_first() -> None:
    for name in eventsourcing_kit.__all__:
        assert getattr(eventsourcing_kit, name).__name__ == name
    assert set(eventsourcing_kit.__all__) <= set(dir(eventsourcing_kit))
    with pytest.raises(AttributeError, match="'rebuilt'"):
        eventsourcing_kit.rebuilt  # noqa: B018 - a name that is not there


def test_a_store_on_sqlite_loads_no_aws() -> None:
    loaded = loaded_by("from eventsourcing_kit import open_store; open_store('sqlite://').append_many([])")
    assert loaded & HEAVY == {"apsw"}


def test_a_table_loads_no_library_before_it_is_asked_for() -> None:
    loaded = loaded_by("from eventsourcing_kit import open_store; open_store('sqlite://').events()._repr_html_()")
    assert loaded & HEAVY == {"apsw"}


def test_storing_an_event_on_dynamodb_needs_no_pydantic() -> None:
    loaded = loaded_by("from eventsourcing_kit import open_store, parse; open_store('dynamodb://events')")
    assert "boto3" in loaded
    assert loaded & {"pydantic", "apsw", "typer", "rich", "whenever"} == set()
