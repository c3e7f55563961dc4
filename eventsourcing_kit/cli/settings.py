"""Which store, and whose projections: from the command line, the environment, or pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.catalog import load
from eventsourcing_kit.cli.talk import say
from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.stores import open_store
from eventsourcing_kit.stores.url import absolute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing_kit.catalog import Catalog
    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["DEFAULT_STORE", "TABLE", "Setting", "app_setting", "catalog", "store", "store_setting"]

DEFAULT_STORE: Final = "sqlite:///events.db"
TABLE: Final = "tool.eventsourcing_kit"  # in pyproject.toml
_NAMES: Final = ("app", "store")


@dataclass(frozen=True)
class Setting:
    """A value, where it comes from (in words), and the folder that its relative names start from."""

    value: str
    origin: str
    folder: Path


def store(option: str | None) -> BaseStore:
    """The store that is meant, not touched yet; says which. Raises InvalidStoreURL and InvalidOption."""
    setting = store_setting(option, environ=os.environ, directory=Path.cwd())
    opened = open_store(setting.value)
    say(f"store '{setting.value}' ({setting.origin})")
    return opened


def catalog(option: str | None) -> Catalog:
    """The projections that are meant; says which. Raises InvalidOption."""
    setting = app_setting(option, environ=os.environ, directory=Path.cwd())
    found = load(directory=Path.cwd()) if setting is None else load(setting.value, directory=setting.folder)
    say(f"projections from {found.source}" + (f" ({setting.origin})" if setting else ""))
    return found


def store_setting(option: str | None, *, environ: Mapping[str, str], directory: Path) -> Setting:
    """The store's URL: `option`, else ESKIT_STORE, else pyproject.toml's, else `sqlite:///events.db`.

    A relative file in pyproject.toml is relative to that file, so that it is the same one from any folder below.
    """
    setting = _setting("store", option, "--store", environ, directory)
    if setting is None:
        return Setting(DEFAULT_STORE, "the default", directory)
    if setting.folder != directory:
        return Setting(absolute(setting.value, setting.folder), setting.origin, setting.folder)
    return setting


def app_setting(option: str | None, *, environ: Mapping[str, str], directory: Path) -> Setting | None:
    """`module[:attribute]` of the projections: `option`, else ESKIT_APP, else pyproject.toml's, else None."""
    return _setting("app", option, "--app", environ, directory)


def _setting(name: str, option: str | None, flag: str, environ: Mapping[str, str], directory: Path) -> Setting | None:
    if option:
        return Setting(option, flag, directory)
    variable = f"ESKIT_{name.upper()}"
    if environ.get(variable):
        return Setting(environ[variable], variable, directory)
    found = _pyproject(directory)
    if found is None:
        return None
    path, table = found
    value = table.get(name)
    return None if value is None else Setting(value, f"'{path}'", path.parent)


def _pyproject(directory: Path) -> tuple[Path, dict[str, str]] | None:
    """The nearest pyproject.toml from `directory` upwards, and its table for this kit."""
    paths = (folder / "pyproject.toml" for folder in (directory, *directory.parents))
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidOption("pyproject.toml", found=str(path), expected="a readable TOML file") from error
    tool: Any = content.get("tool", {})
    table: Any = tool.get("eventsourcing_kit", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise InvalidOption(TABLE, found=str(path), expected="a table whose values are texts")
    unknown = sorted(set(table) - set(_NAMES))
    if unknown:
        raise InvalidOption(f"{TABLE} in '{path}'", found=unknown[0], expected="'app' or 'store'")
    return path, table
