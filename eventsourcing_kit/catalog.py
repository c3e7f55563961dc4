"""The catalog: which projections there are, found in the user's own modules. It knows no command line."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import EventSourcingError, InvalidProjection, ProjectionNotFound
from eventsourcing_kit.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ENTRY_POINTS", "PACKAGE", "Catalog", "Problem", "load", "reason_of"]

ENTRY_POINTS: Final = "eventsourcing_kit.projections"  # the group in which an installed package names its modules
PACKAGE: Final = "projections"  # looked for in the working directory

_OWN_CODE: Final = Path(__file__).parent

AnyProjection = Projection[Any, Any]


@dataclass(frozen=True)
class Problem:
    """A place where projections should be and can not be used, and why."""

    place: str  # a module, or module:attribute
    reason: str

    def __str__(self) -> str:
        return f"'{self.place}': {self.reason}"


class Catalog:
    """Projections by name. What could not be imported, or is there twice, is kept as `problems`, not raised.

    `source` says in words where they come from.
    """

    def __init__(
        self, source: str, found: Iterable[tuple[str, AnyProjection]], problems: Iterable[Problem] = ()
    ) -> None:
        named: dict[str, list[tuple[str, AnyProjection]]] = {}
        for place, projection in found:
            others = named.setdefault(projection.name, [])
            if all(projection is not other for _, other in others):
                others.append((place, projection))
        self.source = source
        self._named = dict(sorted(named.items()))
        doubles = [error for name in self._named if (error := self._double(name))]
        self.problems = (*problems, *(Problem(error.projection, error.reason) for error in doubles))

    @property
    def names(self) -> tuple[str, ...]:
        """The names there are, sorted."""
        return tuple(self._named)

    def get(self, name: str) -> AnyProjection:
        """The projection of that name.

        Raises ProjectionNotFound, which lists those that there are and what could not be imported; InvalidProjection
        where two projections bear the name.
        """
        double = self._double(name)
        if double is not None:
            raise double
        if name in self._named:
            return self._named[name][0][1]
        there = ", ".join(f"'{other}'" for other in self._named)
        reasons = [f"there are {there}" if there else "there is none", *map(str, self.problems)]
        raise ProjectionNotFound(name, where=self.source, reason="; ".join(reasons))

    def place(self, name: str) -> str:
        """Where the projection of that name was found: `module:attribute`, `module:attribute[0]` in a list. Raises as
        `get`."""
        self.get(name)
        return self._named[name][0][0]

    def __iter__(self) -> Iterator[AnyProjection]:
        """All projections whose name is theirs alone, by name."""
        return (entries[0][1] for entries in self._named.values() if len(entries) == 1)

    def _double(self, name: str) -> InvalidProjection | None:
        places = sorted(place for place, _ in self._named.get(name, ()))
        if len(places) < 2:
            return None
        return InvalidProjection(name, f"it is defined {len(places)} times: {', '.join(places)}; names must differ")


def load(app: str | None = None, *, directory: Path | None = None) -> Catalog:
    """The projections of `app` (`module`, `package` or `module:attribute`), imported as from `directory`.

    Without `app`: those of the entry points in the group `eventsourcing_kit.projections`, else those of a package or
    module `projections` in `directory` (the working directory where it is None). Of a package all its modules are
    imported, but `__main__`, `conftest` and `test_...`. An attribute may be a projection or a list of them.

    Raises nothing: what can not be imported is among the catalog's `problems`.
    """
    directory = (directory or Path.cwd()).absolute()
    problems: list[Problem] = []
    with _importable_from(directory):
        if app is not None:
            return Catalog(f"'{app}'", list(_of_spec(app, problems)), problems)
        entries = sorted({entry.value for entry in entry_points(group=ENTRY_POINTS)})
        if entries:
            found = [pair for value in entries for pair in _of_spec(value.partition("[")[0].strip(), problems)]
            return Catalog(f"the entry points '{ENTRY_POINTS}'", found, problems)
        found = list(_of_spec(PACKAGE, problems, inside=directory)) if _has_package(directory) else []
        return Catalog(f"package '{PACKAGE}' in '{directory}'", found, problems)


@contextmanager
def _importable_from(directory: Path) -> Iterator[None]:
    """Modules in `directory` go before all others while they are imported, and not a moment longer."""
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()  # files may be younger than this process
    _claim_package(directory)
    try:
        yield
    finally:
        if str(directory) in sys.path:  # unless a module of the user's tidied it away
            sys.path.remove(str(directory))


def _has_package(directory: Path) -> bool:
    return (directory / PACKAGE).is_dir() or (directory / f"{PACKAGE}.py").is_file()


def _claim_package(directory: Path) -> None:
    """Without an `__init__.py`, a package of that name anywhere else on the path would go before the one here."""
    folder = directory / PACKAGE
    if PACKAGE not in sys.modules and folder.is_dir() and not (folder / "__init__.py").exists():
        module = ModuleType(PACKAGE)
        module.__path__ = [str(folder)]
        sys.modules[PACKAGE] = module


def _of_spec(spec: str, problems: list[Problem], *, inside: Path | None = None) -> Iterator[tuple[str, AnyProjection]]:
    name, colon, attribute = spec.partition(":")
    if colon:
        yield from _of_attribute(name, attribute, problems)
        return
    for module in _modules(name, problems, inside):
        for member, value in vars(module).items():
            if isinstance(value, Projection):
                yield f"{module.__name__}:{member}", value


def _of_attribute(name: str, attribute: str, problems: list[Problem]) -> Iterator[tuple[str, AnyProjection]]:
    place = f"{name}:{attribute}"
    value: object = _import(name, problems)
    if value is None:
        return
    try:
        for part in attribute.split("."):
            value = getattr(value, part)
    except AttributeError:
        problems.append(Problem(place, f"there is no '{attribute}' in that module"))
        return
    many = isinstance(value, (list, tuple))
    for number, item in enumerate(value if isinstance(value, (list, tuple)) else [value]):
        if isinstance(item, Projection):
            yield f"{place}[{number}]" if many else place, item
        else:
            problems.append(Problem(place, f"it has the type {type(item).__name__}, expected a Projection"))


def _modules(name: str, problems: list[Problem], inside: Path | None) -> Iterator[ModuleType]:
    module = _import(name, problems)
    if module is None:
        return
    if inside is not None and not _is_inside(module, inside):
        problems.append(Problem(name, "another module of that name was found first; name yours otherwise"))
        return
    yield module
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if info.name not in ("__main__", "conftest") and not info.name.startswith("test_"):
            yield from _modules(f"{name}.{info.name}", problems, inside)


def _is_inside(module: ModuleType, directory: Path) -> bool:
    file = getattr(module, "__file__", None)
    places = [file] if file else list(getattr(module, "__path__", ()))
    return all(Path(place).is_relative_to(directory) for place in places)


def _import(name: str, problems: list[Problem]) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's module does when it is imported
        problems.append(Problem(name, reason_of(name, error)))
        return None


def reason_of(name: str, error: BaseException) -> str:
    if isinstance(error, EventSourcingError):
        reason = str(error)
    elif isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        hint = ", expected a dotted name such as 'projections.orders'" if "/" in name or name.endswith(".py") else ""
        return f"there is no module '{error.name}'{hint}"
    else:  # at import no event is at hand yet, so that the message is about code
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return f"{reason} ({frames[-1].filename}:{frames[-1].lineno})" if frames else reason


def _is_users(filename: str) -> bool:
    importing = filename.startswith("<frozen") or filename == importlib.__file__
    return not importing and not Path(filename).is_relative_to(_OWN_CODE)
