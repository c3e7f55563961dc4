"""A digest of code: of a function, a class, and all that they reach, told by what they are and not by where they stand.

It goes by bytecode, constants and names, defaults, what a closure holds, and each global that a function names, on and
on: functions and classes of other modules, constants, models and their fields. So a helper that changes three calls
away gives another digest, and a comment, a rename of the file or another line number does not. What belongs to the
standard library is told by its name, as the version of Python counts, too; what belongs to an installed library by its
name and the content of its file.

What can not be seen: names that are put together when the code runs (`getattr(rules, name)`, `importlib`), files,
databases and environment variables that handlers read, and what is put in the place of an installed library's function
by hand. Such a projection is not determined by its events, as `eskit verify` tells. Where something is met that can not
be told at all, NoFingerprint is raised: it is better to have no digest than one that stays the same when it must not.
"""

from __future__ import annotations

import builtins
import dataclasses
import dis
import functools
import hashlib
import logging
import re
import sys
import sysconfig
import types
import typing
from enum import Enum
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path
from typing import Any, Final

__all__ = ["NoFingerprint", "fingerprint"]


class NoFingerprint(Exception):
    """Something can not be told, for the reason in the text."""


def fingerprint(*parts: Any) -> str:
    """64 hex digits, the same in every process for the same code and values. Raises NoFingerprint."""
    walk = _Walk()
    try:
        for part in parts:
            walk.visit(part)
    except RecursionError:
        raise NoFingerprint("it reaches too deep") from None
    return walk.digest.hexdigest()


_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+|object at ")
_IDENTIFIER: Final = re.compile(r"[^\W\d]\w*")
_GENERATED: Final = ("<string>", "<attrs generated")  # the file names of methods that dataclasses write
_PASSED_OVER: Final = {
    *("__module__", "__doc__", "__dict__", "__weakref__", "__qualname__", "__firstlineno__", "__static_attributes__"),
    *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__signature__", "_abc_impl"),
    *("__abstractmethods__", "__dataclass_fields__", "__dataclass_params__", "__match_args__", "__parameters__"),
    *("__class_vars__", "__private_attributes__", "model_fields", "model_computed_fields", "__orig_bases__"),
    *("_member_map_", "_member_names_", "_value2member_map_", "_unhashable_values_", "_hashable_values_"),
}
_STANDARD: Final = tuple(
    str(Path(sysconfig.get_paths()[name]).resolve()) for name in ("stdlib", "platstdlib") if sysconfig.get_paths()[name]
)
_INSTALLED: Final = tuple(str(Path(sysconfig.get_paths()[name]).resolve()) for name in ("purelib", "platlib"))


class _Walk:
    """Goes through everything once, and feeds what it meets into one digest."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._met: dict[object, int] = {}
        self._kept: list[Any] = []  # so that no address is given to something else meanwhile

    def _say(self, *words: object) -> None:
        for word in words:
            data = str(word).encode("utf-8", "surrogatepass")
            self.digest.update(b"%d:%s" % (len(data), data))

    def visit(self, value: Any) -> None:
        if value is None or type(value) in (bool, int, float, complex, str, bytes, type(...)):
            self._say(type(value).__name__, repr(value))
            return
        if type(value) in (tuple, frozenset):  # of which equal ones may be one object in this process and two elsewhere
            self._value(value)
            return
        if id(value) in self._met:
            self._say("met", self._met[id(value)])
            return
        self._met[id(value)] = len(self._met)
        self._kept.append(value)
        self._visit_new(value)

    def _visit_new(self, value: Any) -> None:
        if isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType):
            self._say("module", value.__name__)
        elif isinstance(value, (types.MethodType, classmethod, staticmethod)):
            self._say(type(value).__name__)
            self.visit(value.__func__)
            self.visit(getattr(value, "__self__", None))
        elif isinstance(value, property):
            self._say("property")
            self._each((value.fget, value.fset, value.fdel))
        elif isinstance(value, (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)):
            self._native(value)
        else:
            self._value(value)

    def _each(self, values: Any) -> None:
        values = list(values)
        self._say(len(values))
        for value in values:
            self.visit(value)

    # Code

    def _function(self, function: types.FunctionType) -> None:
        if self._is_library(function, function.__globals__.get("__name__", "")):
            return
        self._say("function")
        self._code(function.__code__)
        self._each(function.__defaults__ or ())
        self._pairs(function.__kwdefaults__ or {})
        for cell in function.__closure__ or ():
            try:
                self.visit(cell.cell_contents)
            except ValueError:
                self._say("an empty cell")
        own = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
        self._pairs(own)
        self._globals(function.__code__, function.__globals__)

    def _code(self, code: types.CodeType) -> None:
        self._say("code", code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self._say(code.co_code.hex(), getattr(code, "co_exceptiontable", b"").hex())
        self._each((*code.co_names, "|", *code.co_varnames, "|", *code.co_freevars, "|", *code.co_cellvars))
        self._each(code.co_consts)

    def _globals(self, code: types.CodeType, namespace: dict[str, Any]) -> None:
        names = _names(code)
        for name in sorted(names):
            if name in namespace:
                self._say("global", name)
                self._named(namespace[name], names)
            elif hasattr(builtins, name):
                self._native_or_replaced(name)
        for level, name in _imports(code):
            self._imported(level, name, namespace, names)

    def _native_or_replaced(self, name: str) -> None:
        value = getattr(builtins, name)
        if getattr(value, "__module__", "builtins") != "builtins":
            self.visit(value)

    def _imported(self, level: int, name: str, namespace: dict[str, Any], names: set[str]) -> None:
        """What a function imports when it runs."""
        absolute = resolve_name("." * level + name, namespace.get("__package__")) if level else name
        try:
            module = import_module(absolute)
        except Exception:  # noqa: BLE001 - whatever that module raises when it is imported
            raise NoFingerprint(
                f"the module '{absolute}', which is imported inside of a function, is not there"
            ) from None
        self._say("imports", absolute)
        for part in range(absolute.count(".") + 1):
            self._named(sys.modules[".".join(absolute.split(".")[: part + 1])], names)
        self._named(module, names)

    def _named(self, value: Any, names: set[str]) -> None:
        """What a name stands for; of a module, whatever else of its content is named beside it."""
        if not isinstance(value, types.ModuleType) or self._is_library(value, value.__name__):
            self.visit(value)
            return
        self._say("module", value.__name__)
        key = id(value), frozenset(names)
        if key in self._met:
            return
        self._met[key] = len(self._met)
        for name in sorted(names & vars(value).keys()):
            self._say("of it", name)
            self._named(vars(value)[name], names)

    def _is_library(self, value: Any, module: str) -> bool:
        """Whether it belongs to Python or to an installed library; then its name and the library's file are said."""
        origin = _origin(module)
        if origin == "user":
            return False
        self._say(origin, module, getattr(value, "__qualname__", getattr(value, "__name__", "")))
        if origin == "installed":
            self._say(_file_digest(getattr(sys.modules.get(module), "__file__", None) or ""))
        return True

    def _native(self, value: Any) -> None:
        module = getattr(value, "__module__", None) or ""
        owner = getattr(value, "__self__", None)
        self._say("native", module, value.__qualname__)
        if owner is not None and not isinstance(owner, types.ModuleType):
            self.visit(owner)

    # Classes

    def _class(self, kind: type) -> None:
        if self._is_library(kind, kind.__module__):
            return
        self._say("class", kind.__qualname__)
        self._each(kind.__bases__)
        self.visit(type(kind))
        self._annotations(kind)
        if issubclass(kind, Enum):
            self._pairs({name: member.value for name, member in kind.__members__.items()})
        if dataclasses.is_dataclass(kind):
            self._dataclass(kind)
        if "__pydantic_validator__" in vars(kind):
            self._model(kind)
        members = getattr(kind, "__members__", {}) if issubclass(kind, Enum) else {}
        for name, value in sorted(vars(kind).items()):
            if name in _PASSED_OVER or name in members or name.startswith("__pydantic_"):
                continue
            if isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType)) or _is_generated(value):
                continue
            self._say("member", name)
            self.visit(value)

    def _annotations(self, kind: type) -> None:
        module = sys.modules.get(kind.__module__)
        annotations: dict[str, Any] = getattr(kind, "__annotations__", {}) if "__annotations__" in vars(kind) else {}
        if sys.version_info >= (3, 14):
            annotations = import_module("annotationlib").get_annotations(
                kind, format=import_module("annotationlib").Format.FORWARDREF
            )
        for name, annotation in annotations.items():
            self._say("annotation", name)
            self._annotation(annotation, vars(module) if module else {})

    def _annotation(self, annotation: Any, namespace: dict[str, Any]) -> None:
        if isinstance(annotation, typing.ForwardRef):
            annotation = annotation.__forward_arg__
        if isinstance(annotation, str):
            self._say(annotation)
            names = set(_IDENTIFIER.findall(annotation))
            for name in sorted(names & namespace.keys()):
                self._named(namespace[name], names)
            return
        arguments = typing.get_args(annotation)
        if not arguments:
            self.visit(annotation)
            return
        self.visit(typing.get_origin(annotation))
        for argument in (*arguments, *getattr(annotation, "__metadata__", ())):
            self._annotation(argument, namespace)

    def _dataclass(self, kind: Any) -> None:
        self._say(repr(getattr(kind, "__dataclass_params__", "")))
        for field in dataclasses.fields(kind):
            self._say("field", field.name, field.init, field.repr, field.compare, field.kw_only)
            self._each((_or_none(field.default), _or_none(field.default_factory)))
            self._pairs(dict(field.metadata))

    def _model(self, kind: Any) -> None:
        """A pydantic model: its fields, its configuration, and its validators and serialisers, which lie apart."""
        fields = getattr(kind, "__pydantic_fields__", {})
        module = sys.modules.get(kind.__module__)
        namespace = vars(module) if module else {}
        for name, field in fields.items():
            self._say("field", name)
            self._annotation(getattr(field, "annotation", None), namespace)
            for attribute in sorted(getattr(field, "_attributes_set", {})):
                if attribute != "annotation":
                    self._say(attribute)
                    self.visit(getattr(field, attribute, None))
            self._each(getattr(field, "metadata", ()))
        config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", None)
        self._pairs(dict(config or {}))
        decorators = getattr(kind, "__pydantic_decorators__", None)
        for group in dataclasses.fields(decorators) if dataclasses.is_dataclass(decorators) else ():
            found = getattr(decorators, group.name)
            for name, decorator in sorted(found.items()) if isinstance(found, dict) else ():
                self._say(group.name, name, repr(getattr(decorator.info, "mode", "")))
                self._each(getattr(decorator.info, "fields", ()))
                self.visit(getattr(decorator.func, "__func__", decorator.func))

    # Values

    def _value(self, value: Any) -> None:
        kind = type(value)
        self._say("value")
        if isinstance(value, Enum):
            self._say(value.name)
            self.visit(kind)
            return
        self.visit(kind)
        if isinstance(value, (list, tuple)):
            self._each(value)
        elif isinstance(value, (set, frozenset)):
            self._each(sorted(fingerprint(member) for member in value))
        elif isinstance(value, (dict, types.MappingProxyType)):
            self._pairs(value)
        elif isinstance(value, functools.partial):
            self._each((value.func, value.args, value.keywords))
        elif isinstance(value, logging.Logger):
            self._say(value.name)
        elif hasattr(value, "__wrapped__") and callable(value):  # functools.cache
            self.visit(value.__wrapped__)
        elif _origin(kind.__module__) == "user" or dataclasses.is_dataclass(kind):
            self._attributes(value)
        else:
            self._shown(value)
        if isinstance(value, (list, tuple, set, frozenset, dict)) and getattr(value, "__dict__", None):
            self._pairs(vars(value))

    def _attributes(self, value: Any) -> None:
        found = dict(getattr(value, "__dict__", {}))
        for base in type(value).__mro__:
            slots = vars(base).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(value, name):
                    found[name] = getattr(value, name)
        self._pairs(dict(sorted(found.items())))

    def _shown(self, value: Any) -> None:
        """A value of a library's class: times, numbers, patterns show all that they are; what shows an address does
        not."""
        text = repr(value)
        if _ADDRESS.search(text):
            raise NoFingerprint(f"a value of the class {type(value).__qualname__} does not show what it is")
        self._say(text)

    def _pairs(self, mapping: Any) -> None:
        self._say(len(mapping))
        for name, value in mapping.items():
            self.visit(name)
            self.visit(value)


def _names(code: types.CodeType) -> set[str]:
    """Each name that code takes from its globals, from a module or from an object, functions inside of it included."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


@functools.cache
def _imports(code: types.CodeType) -> tuple[tuple[int, str], ...]:
    """The imports that code does itself, each with its level, and those of the functions inside of it."""
    found: list[tuple[int, str]] = []
    level = 0
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_CONST", "LOAD_SMALL_INT") and isinstance(step.argval, int):
            level = step.argval
        elif step.opname == "IMPORT_NAME":
            found.append((level, str(step.argval)))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += _imports(constant)
    return tuple(found)


def _is_generated(value: Any) -> bool:
    return isinstance(value, types.FunctionType) and value.__code__.co_filename.startswith(_GENERATED)


def _or_none(value: Any) -> Any:
    return "nothing" if value is dataclasses.MISSING else value


@functools.cache
def _origin(module: str) -> str:
    """Whose a module is: "standard", "installed" or "user"."""
    if module.partition(".")[0] in sys.stdlib_module_names and module != "__main__":
        return "standard"
    place = getattr(sys.modules.get(module), "__file__", None)
    if place is None:
        return "user"
    path = str(Path(place).resolve())
    if path.startswith(_INSTALLED) or module.partition(".")[0] == "eventsourcing_kit":
        return "installed"
    return "standard" if path.startswith(_STANDARD) else "user"


@functools.cache
def _file_digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return "no file"
