"""A digest of code: of functions and classes, by the files of the user's modules that they and their modules reach.

Any change in one of these files gives another digest, also one that means nothing: it says "changed" rather too often.
What belongs to Python or to an installed library is told by its name and Python's version. Names that are put together
when the code runs, files and environment variables that handlers read can not be seen.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any, Final

__all__ = ["NoFingerprint", "fingerprint"]


class NoFingerprint(Exception):
    """Something can not be told, for the reason in the text."""


def fingerprint(*parts: Any) -> str:
    """64 hex digits, the same in every process for the same code and values. Raises NoFingerprint."""
    walk = _Walk()
    for part in parts:
        walk.visit(part)
    files = sorted((name, hashlib.sha256(walk.modules[name]).hexdigest()) for name in walk.modules)
    return hashlib.sha256(repr((sys.version_info[:3], walk.said, files)).encode()).hexdigest()


_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes)
_OTHERS: Final = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


class _Walk:
    """Goes through everything once; notes values as it meets them, and the content of each module."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.modules: dict[str, bytes] = {}
        self._met: dict[int, Any] = {}

    def visit(self, value: Any) -> None:
        if isinstance(value, _PLAIN):
            self.said.append(value)
            return
        if id(value) in self._met:
            return
        self._met[id(value)] = value
        if isinstance(value, (tuple, list)):
            self.said.append((type(value).__name__, len(value)))
            for each in value:
                self.visit(each)
        elif isinstance(value, dict):
            self.visit(list(value.items()))
        elif isinstance(value, (type, types.FunctionType)):
            self._defined(value)
        elif isinstance(value, (types.BuiltinFunctionType, types.GenericAlias)):
            self.said.append(repr(value) if isinstance(value, types.GenericAlias) else value.__qualname__)
        elif type(value).__module__.partition(".")[0] == "eventsourcing_kit":
            self.visit({name: getattr(value, name) for name in _attributes(value)})
        else:
            raise NoFingerprint(f"a value of the class {type(value).__qualname__} does not show what it is")

    def _defined(self, value: Any) -> None:
        self.said.append((value.__module__, value.__qualname__))
        self._module(value.__module__)
        if isinstance(value, types.FunctionType):
            self.visit((value.__defaults__, value.__kwdefaults__))
            for cell in value.__closure__ or ():
                self.visit(cell.cell_contents)
            if hasattr(value, "__wrapped__"):
                self.visit(value.__wrapped__)

    def _module(self, name: str) -> None:
        module = sys.modules.get(name)
        if module is None or name in self.modules:
            return
        file = getattr(module, "__file__", None)
        if file is None:
            if name == "__main__":
                raise NoFingerprint("it is defined in a notebook or at a prompt")
            return
        path = Path(file).resolve()
        if name.partition(".")[0] == "eventsourcing_kit" or any(path.is_relative_to(other) for other in _OTHERS):
            return
        try:
            self.modules[name] = path.read_bytes()
        except OSError:
            raise NoFingerprint(f"the file of its module '{name}' can not be read") from None
        for value in list(vars(module).values()):
            reached = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
            if isinstance(reached, str):
                self._module(reached)


def _attributes(value: Any) -> list[str]:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    names = [*slots, *getattr(value, "__dict__", {})]
    return sorted(name for name in names if hasattr(value, name) and not name.startswith("__"))
