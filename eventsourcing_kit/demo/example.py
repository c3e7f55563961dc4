"""The worked example of projections: where it lies, how the demo runs it, and how it comes into a user's directory."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eventsourcing_kit.errors import ProjectionNotFound

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["copy_example", "example_folder", "load_example"]

_PACKAGE: Final = Path(__file__).parents[1]
_FILES: Final = ("__init__.py", "shop.py")


def example_folder(package: Path = _PACKAGE) -> Path:
    """Where `shop.py` lies: inside the installed package, or in `projections/` beside it in a checkout."""
    places = (package / "_example", package.parent / "projections")
    for place in places:
        if (place / "shop.py").is_file():
            return place
    raise ProjectionNotFound("shop", where=" or ".join(f"'{place}'" for place in places), reason="there is no shop.py")


def load_example(folder: Path | None = None) -> ModuleType:
    """The example as a module, under a name that no user's module has."""
    name = "eventsourcing_kit._example.shop"
    path = (folder or example_folder()) / "shop.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProjectionNotFound("shop", where=f"'{path}'", reason="it can not be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where pydantic looks up the types that annotations name
    spec.loader.exec_module(module)
    return module


def copy_example(directory: Path, folder: Path | None = None) -> bool:
    """Puts a package `projections` with the example into `directory`, unless something of that name is there."""
    target = directory / "projections"
    if target.exists() or target.with_suffix(".py").exists():
        return False
    target.mkdir(parents=True)
    for name in _FILES:
        shutil.copyfile((folder or example_folder()) / name, target / name)
    return True
