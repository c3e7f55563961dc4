from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.cli.settings import app_setting, store_setting
from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERS = "from eventsourcing_kit import Projection\n{name} = Projection('{name}', initial=dict)\n"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk


def pyproject(folder: Path, content: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(content)


def test_a_store_is_looked_for_in_four_places(tmp_path: Path) -> None:
    environ = {"ESKIT_STORE": "sqlite:///environ.db"}

    def found(option: str | None, environ: dict[str, str]) -> tuple[str, str]:
        setting = store_setting(option, environ=environ, directory=tmp_path)
        return setting.value, setting.origin

    assert found(None, {}) == ("sqlite:///events.db", "the default")
    pyproject(tmp_path, '[tool.eventsourcing_kit]\nstore = "sqlite:///project.db"\n')
    assert found(None, {}) == ("sqlite:///project.db", f"'{tmp_path / 'pyproject.toml'}'")
    assert found(None, environ) == ("sqlite:///environ.db", "ESKIT_STORE")
    assert found("sqlite:///option.db", environ) == ("sqlite:///option.db", "--store")


def test_projections_are_looked_for_in_three_places(tmp_path: Path) -> None:
    def found(option: str | None, environ: dict[str, str]) -> tuple[str, str] | None:
        setting = app_setting(option, environ=environ, directory=tmp_path)
        return None if setting is None else (setting.value, setting.origin)

    assert found(None, {}) is None
    pyproject(tmp_path, '[tool.eventsourcing_kit]\napp = "shop.project"\n')
    assert found(None, {}) == ("shop.project", f"'{tmp_path / 'pyproject.toml'}'")
    assert found(None, {"ESKIT_APP": "shop.environ"}) == ("shop.environ", "ESKIT_APP")
    assert found("shop.option", {"ESKIT_APP": "shop.environ"}) == ("shop.option", "--app")


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    assert store_setting(None, environ={"ESKIT_STORE": ""}, directory=tmp_path).origin == "the default"


def test_a_pyproject_above_counts_and_its_file_is_the_same_from_every_folder_below(tmp_path: Path) -> None:
    pyproject(tmp_path, '[tool.eventsourcing_kit]\nstore = "sqlite:///data/events.db?retention_days=30"\n')
    below = tmp_path / "some" / "folder"
    below.mkdir(parents=True)
    setting = store_setting(None, environ={}, directory=below)
    assert setting.value == f"sqlite:///{tmp_path}/data/events.db?retention_days=30"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:////data/events.db", "dynamodb://events?region=eu-west-1"])
def test_a_store_that_is_not_a_relative_file_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    pyproject(tmp_path, f'[tool.eventsourcing_kit]\nstore = "{url}"\n')
    (tmp_path / "below").mkdir()
    assert store_setting(None, environ={}, directory=tmp_path / "below").value == url


def test_the_nearest_pyproject_is_the_one_that_counts(tmp_path: Path) -> None:
    pyproject(tmp_path, '[tool.eventsourcing_kit]\nstore = "sqlite:///far.db"\n')
    pyproject(tmp_path / "near", "[project]\nname = 'near'\n")
    assert store_setting(None, environ={}, directory=tmp_path / "near").origin == "the default"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[tool.eventsourcing_kit]\nstor = 'x'\n", "found 'stor', expected 'app' or 'store'"),
        ("[tool.eventsourcing_kit]\nstore = 5\n", "expected a table whose values are texts"),
        ("[tool]\neventsourcing_kit = 'x'\n", "expected a table whose values are texts"),
        ("[tool\n", "expected a readable TOML file"),
    ],
)
def test_a_pyproject_that_says_something_else_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    pyproject(tmp_path, content)
    with pytest.raises(InvalidOption, match=message):
        store_setting(None, environ={}, directory=tmp_path)


def test_commands_use_what_the_project_says_from_a_folder_below(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pyproject(desk.folder, '[tool.eventsourcing_kit]\nstore = "sqlite:///shop.db"\napp = "shop_of_settings.orders"\n')
    desk.write("shop_of_settings/orders.py", ORDERS.format(name="orders"))
    desk.store(envelope("Placed"), url="sqlite:///shop.db")
    (desk.folder / "below").mkdir()
    monkeypatch.chdir(desk.folder / "below")
    done = desk.run("rebuild", "orders", "--all")
    assert (done.code, len(done.records)) == (0, 1)
    assert done.err.splitlines()[:2] == [
        f"eskit: store 'sqlite:///{desk.folder}/shop.db' ('{desk.folder}/pyproject.toml')",
        f"eskit: projections from 'shop_of_settings.orders' ('{desk.folder}/pyproject.toml')",
    ]


def test_credentials_in_a_store_s_url_are_refused_and_not_repeated(desk: Desk) -> None:
    done = desk.run("streams", "--store", "dynamodb://AKIA:canary@events")
    assert (done.code, done.out) == (2, "")
    assert "canary" not in done.err
