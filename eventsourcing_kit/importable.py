"""Where a projection is defined, so that another process can import it."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventsourcing_kit.errors import InvalidProjection
from eventsourcing_kit.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Place", "place_of"]

_MAIN: Final = "__main__"


class Place(msgspec.Struct, frozen=True):
    """`name` in `attribute` of `module`, and the paths that this module is found on. Paths are bytes, as the system
    has them, whatever the encoding of the process that reads this."""

    module: str
    attribute: str  # of a projection, or of a list of them
    name: str
    path: tuple[bytes, ...]
    package: tuple[bytes, ...]  # the folders of a top-level package that has no __init__.py

    def load(self) -> Projection[Any, Any]:
        """Imports the module as the process did that made this place. Raises whatever the module raises, and
        LookupError where the projection is not in it any more."""
        sys.path[:] = map(os.fsdecode, self.path)
        top = self.module.partition(".")[0]
        if self.package and top not in sys.modules:
            module = ModuleType(top)
            module.__path__ = list(map(os.fsdecode, self.package))
            sys.modules[top] = module
        value = getattr(importlib.import_module(self.module), self.attribute)
        found = next((each for each in _projections_in(value) if each.name == self.name), None)
        if found is None:
            raise LookupError(f"'{self.attribute}' in it is no projection '{self.name}' any more")
        return found


def place_of(projection: Projection[Any, Any]) -> Place:
    """Where `projection` stands under a name. Raises InvalidProjection for one that no other process can import."""
    main = sys.modules.get(_MAIN)
    for name in dict.fromkeys([*_modules_of_handlers(projection), *list(sys.modules)]):
        attribute = None if sys.modules.get(name) is main else _attribute(name, projection)
        if attribute is not None:
            path, package = _roots(name)
            return Place(name, attribute, projection.name, path, package)
    where = "in the script or notebook that runs" if _attribute(_MAIN, projection) else "under no name of a module"
    reason = (
        f"it is defined {where}, and fresh processes have to import it; "
        "put it into a module of its own, such as orders.py, and import it from there"
    )
    raise InvalidProjection(projection.name, reason)


def _modules_of_handlers(projection: Projection[Any, Any]) -> Iterator[str]:
    """Where its handlers are, so that of several modules that know it the one is named that made it."""
    for function in projection.functions:
        module = getattr(function, "__module__", None)
        if isinstance(module, str):
            yield module


def _attribute(module: str, projection: Projection[Any, Any]) -> str | None:
    members = getattr(sys.modules.get(module), "__dict__", {})
    # A copy, as another thread may import something meanwhile.
    found = (
        name for name, value in list(members.items()) if any(each is projection for each in _projections_in(value))
    )
    return next(found, None)


def _projections_in(value: object) -> Iterator[Projection[Any, Any]]:
    for each in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(each, Projection):
            yield each


def _roots(module: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """This process's path of modules, in front of it the folder of `module` where that was taken away again; and where
    its top-level package is a mere folder, that folder."""
    here = Path.cwd()
    path = [str(here / entry) for entry in sys.path]
    top = sys.modules[module.partition(".")[0]]
    file = getattr(top, "__file__", None)
    folders = [str(here / folder) for folder in getattr(top, "__path__", ())]
    homes = [str(Path(folder).parent) for folder in folders] or ([str((here / file).parent)] if file else [])
    front = [home for home in homes if home not in path]
    return tuple(map(os.fsencode, [*front, *path])), tuple(map(os.fsencode, [] if file else folders))
