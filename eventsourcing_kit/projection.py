"""Projection: a named, versioned set of handlers and an initial state. It knows no store."""

from __future__ import annotations

import copy
from dataclasses import is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, cast, overload

import msgspec
from typing_extensions import TypeVar  # with a default: the result is the state, unless there is a key

from eventsourcing_kit.brief import KEPT, whole
from eventsourcing_kit.errors import FoldFailed, InvalidProjection
from eventsourcing_kit.handler import Handler, NotAKeyError, NothingReturnedError, explain
from eventsourcing_kit.models import is_model, reader_for
from eventsourcing_kit.needs import asks_only
from eventsourcing_kit.upcast import Upcasters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from msgspec import Struct
    from pydantic import BaseModel, TypeAdapter

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.handler import Route
    from eventsourcing_kit.models import Reader

__all__ = ["Folded", "Projection"]

State = TypeVar("State")
Result = TypeVar("Result", default=State)
Model = TypeVar("Model", bound="BaseModel | Struct")
Function = TypeVar("Function", bound="Callable[..., Any]")
Made = TypeVar("Made")

_UNROUTED: Final[Any] = object()
# What states may be where the initial one says little of them: a sum of prices begins at 0, too.
_WIDER: Final[dict[type, Any]] = {type(None): Any, int: int | float}


class Folded(NamedTuple, Generic[Made]):
    """What a fold made: the state, how many events went into it, and the last one that did."""

    state: Made
    events: int
    last: Event | None


class _Register(Protocol[State, Model]):
    def __call__(
        self, handler: Callable[[State, Event[Model]], State], /
    ) -> Callable[[State, Event[Model]], State]: ...


class Projection(Generic[State, Result]):
    """State from events: `initial()` is the start, and each event goes through the handler of its type.

    `initial` is a factory (a class, `dict`, `int`), so that no fold meets what another one left behind. `version` says
    which edition of the handlers this is; raise it when their meaning changes. With `key`, a function
    `event -> text or None`, the fold keeps one state for each entity and answers a dict of them; events for which it
    gives None are passed over. `upcasters` run before handlers and models.

    Raises InvalidProjection where the definition can not work.
    """

    @overload
    def __init__(
        self: Projection[State, State],
        name: str,
        *,
        initial: Callable[[], State],
        version: int = 1,
        upcasters: Upcasters | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: Projection[State, dict[str, State]],
        name: str,
        *,
        initial: Callable[[], State],
        version: int = 1,
        key: Callable[[Event], str | None],
        upcasters: Upcasters | None = None,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        *,
        initial: Callable[[], State],
        version: int = 1,
        key: Callable[[Event], str | None] | None = None,
        upcasters: Upcasters | None = None,
    ) -> None:
        self._may_be_none = _check_definition(name, initial, version) is None
        self.name = name
        self.version = version
        self._initial = initial
        self._key = key
        self._upcasters = upcasters or Upcasters()
        self._handlers: dict[str, Handler] = {}
        self._other: Handler | None = None
        self._routes: dict[str, Route | None] = {}
        self._adapters: dict[type, TypeAdapter[Any]] = {}  # of one state

    @property
    def types(self) -> frozenset[str]:
        """The event types that have a handler of their own, as today's events name them."""
        return frozenset(self._handlers)

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The functions that make it: its handlers, its factory, and its key where it has one."""
        handlers = [*self._handlers.values(), *([self._other] if self._other else [])]
        return (*(handler.function for handler in handlers), self._initial, *([self._key] if self._key else []))

    @property
    def recipe(self) -> tuple[object, ...]:
        """All that decides what a fold comes to, for a fingerprint."""
        handlers = sorted(self._handlers.items())
        return handlers, self._other, self._initial, self._key, self._upcasters.steps

    @property
    def state_type(self) -> type:
        """What `initial` makes."""
        return type(self._initial())

    @cached_property
    def asks_little(self) -> bool:
        """Whether its functions can be told to ask for nothing but `brief.KEPT`, and to keep no event."""
        if self._upcasters.steps:
            return False
        handlers = [*self._handlers.values(), *([self._other] if self._other else [])]
        is_brief = all(asks_only(handler.function, 1, KEPT) for handler in handlers)
        return is_brief and (self._key is None or asks_only(self._key, 0, KEPT))

    def stored_types(self, type: str) -> frozenset[str]:  # noqa: A002 - the field's name
        """The types under which events for the handler of `type` may stand in a store: itself, and upcast ones."""
        return self._upcasters.sources(type)

    def handles(self, type: str) -> bool:  # noqa: A002 - the field's name
        """Whether a stored event of `type` reaches a handler."""
        return self._route(type) is not None

    @overload
    def on(self, model: type[Model], /) -> _Register[State, Model]: ...

    @overload
    def on(self, *types: str, model: type[Model]) -> _Register[State, Model]: ...

    @overload
    def on(self, *types: str) -> Callable[[Function], Function]: ...

    def on(self, *types: Any, model: type[Any] | None = None) -> Any:
        """Registers a handler `(state, event) -> state`, and gives it back unchanged.

        For one type or several; for every type that has no handler of its own, where none is named; for a model, whose
        name is the type (or the types are named beside it): then `event.data` is that validated model. A model is a
        pydantic one, or a msgspec Struct, which is read several times as fast, checks types and constraints, and
        converts nothing.
        """
        if len(types) == 1 and is_model(types[0]):
            model = types[0]
            types = (types[0].__name__,)
        for type_ in types:
            if not isinstance(type_, str) or not type_:
                raise InvalidProjection(
                    self.name, f"on() takes texts or one model (pydantic's, or a msgspec Struct), found {type_!r}"
                )
        if model is not None and not types:
            raise InvalidProjection(self.name, "on(model=...) needs the types that the model is for")
        reader = None if model is None else self._reader(model)

        def register(function: Function) -> Function:
            handler = Handler(function, reader)
            for type_ in types:
                if type_ in self._handlers:
                    raise InvalidProjection(self.name, f"type '{type_}' has a handler already")
                self._handlers[type_] = handler
            if not types:
                if self._other is not None:
                    raise InvalidProjection(self.name, "there is a handler for all other types already")
                self._other = handler
            self._routes.clear()
            self.__dict__.pop("asks_little", None)
            return function

        return register

    def fold(self, events: Iterable[Event], start: Result | None = None) -> Result:
        """The state after `events`, in the order given, from `start` or from a fresh initial state.

        Neither `start` nor the events are changed, whatever a handler does. Raises FoldFailed at the first event that
        a handler, a model or an upcaster raises at.
        """
        return self.fold_counted((event.fresh() for event in events), copy.deepcopy(start)).state

    def fold_counted(
        self,
        events: Iterable[Event],
        start: Result | None = None,
        *,
        skip: Callable[[FoldFailed], None] | None = None,
    ) -> Folded[Result]:
        """As `fold`, for events and a start that nobody else holds; `skip` is told of failures in place of a raise."""
        if self._key is not None:
            return self._fold_entities(events, cast("dict[str, State] | None", start), self._key, skip)
        state = self._initial() if start is None else cast("State", start)
        returns_none = self._may_be_none
        routes, count, last = self._routes, 0, None
        for event in events:
            route = routes.get(event.type, _UNROUTED)
            if route is _UNROUTED:
                route = self._route(event.type)
            if route is None:
                continue
            try:
                after = route(state, event)
                if after is None and not returns_none:
                    raise NothingReturnedError
            except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
                self._fail(event, state, error, skip)
                continue
            state = after
            count += 1
            last = event
        return Folded(cast("Result", state), count, last)

    def _fold_entities(
        self,
        events: Iterable[Event],
        start: dict[str, State] | None,
        key: Callable[[Event], str | None],
        skip: Callable[[FoldFailed], None] | None,
    ) -> Folded[Result]:
        states: dict[str, State] = {} if start is None else start
        count, last = 0, None
        for event in events:
            route = self._route(event.type)
            if route is None:
                continue
            try:
                entity = key(event)
                if entity is None:
                    continue
                if not isinstance(entity, str):
                    raise NotAKeyError
                state = states[entity] if entity in states else self._initial()
                after = route(state, event)
                if after is None and not self._may_be_none:
                    raise NothingReturnedError
            except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
                self._fail(event, states, error, skip)
                continue
            states[entity] = after
            count += 1
            last = event
        return Folded(cast("Result", states), count, last)

    def initial(self) -> Result:
        """A new state as it is before any event: `initial()`, or an empty dict where there is a key."""
        return cast("Result", self._initial() if self._key is None else {})

    def from_json(self, text: bytes | str) -> Result:
        """A state of the initial state's type from the JSON that `to_json` made of one.

        What that type does not declare, such as what lies in a bare `dict`, or the fields of a subclass, is not made
        anew: it stays as JSON has it, or is left out. A state that begins as None may be anything, as JSON has it, and
        one that begins as an integer any number.

        Raises InvalidProjection, which quotes nothing of it, where the text is no such state.
        """
        from pydantic import ValidationError

        try:
            return cast("Result", self._adapter.validate_json(text))
        except ValidationError as error:
            places = sorted({"/".join(map(str, line["loc"])) or "the state itself" for line in error.errors()})
            raise InvalidProjection(self.name, f"a text is no state of its type, at {', '.join(places)}") from None

    def to_json(self, state: Result) -> bytes:
        """A state as JSON, through pydantic and the type of the initial state; where that is a class and the state is
        of a subclass, through the state's own.

        Raises InvalidProjection, which quotes nothing of it, where the state holds what JSON can not say.
        """
        from pydantic_core import PydanticSerializationError

        try:
            if self._key is None:
                return self._dumped(state)
            states = cast("dict[str, State]", state)
            if not any(map(self._is_of_subclass, states.values())):
                return self._adapter.dump_json(states, warnings=False)
            return msgspec.json.encode({entity: msgspec.Raw(self._dumped(each)) for entity, each in states.items()})
        except PydanticSerializationError:
            reason = f"a state of the type {type(state).__name__} holds something that JSON can not say"
            raise InvalidProjection(self.name, reason) from None

    def _dumped(self, state: object) -> bytes:
        # The adapter of a type passes over the fields that only a subclass has.
        kind = type(state) if self._is_of_subclass(state) else self._state_type
        if kind not in self._adapters:
            self._adapters[kind] = _adapter(_WIDER.get(kind, kind))
        return self._adapters[kind].dump_json(state, warnings=False)  # they would quote the state

    def _is_of_subclass(self, state: object) -> bool:
        kind = type(state)
        return kind is not self._state_type and _has_fields(kind) and issubclass(kind, self._state_type)

    @cached_property
    def _state_type(self) -> type:
        return type(self._initial())

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        state_type: Any = _WIDER.get(self._state_type, self._state_type)
        return _adapter(state_type if self._key is None else dict[str, state_type])

    def _reader(self, model: type[BaseModel | Struct]) -> Reader:
        try:
            return reader_for(model)
        except (TypeError, NameError) as error:
            raise InvalidProjection(self.name, f"msgspec can not read {model.__name__}: {error}") from error

    def _route(self, type_: str) -> Route | None:
        if type_ not in self._routes:
            final, upcasts = self._upcasters.chain(type_)
            handler = self._handlers.get(final, self._other)
            self._routes[type_] = None if handler is None else handler.behind(final, upcasts)
        return self._routes[type_]

    def _fail(self, event: Event, before: object, error: Exception, skip: Callable[[FoldFailed], None] | None) -> None:
        reason, fields, cause = explain(error)
        failed = FoldFailed(
            projection=self.name, stream=event.stream, key=event.key, event_id=event.id, reason=reason, fields=fields
        )
        failed.__cause__ = cause
        failed.event, failed.state = whole(event), before
        if skip is None:
            raise failed from cause
        skip(failed)

    def __repr__(self) -> str:
        return f"<Projection {self.name!r} version {self.version}>"


def _check_definition(name: str, initial: object, version: int) -> object:
    """A state as `initial` makes it."""
    if not isinstance(name, str) or not name:
        raise InvalidProjection(str(name), "its name has to be text")
    if not isinstance(version, int) or version < 1:
        raise InvalidProjection(name, f"version is {version!r}, expected a whole number from 1")
    if not callable(initial):
        reason = f"initial is a {type(initial).__name__}, expected a factory, such as dict or a class"
        raise InvalidProjection(name, reason)
    try:
        first, second = initial(), initial()
    except TypeError as error:
        raise InvalidProjection(name, "initial can not be called without arguments") from error
    if first is second and not _is_immutable(first):
        raise InvalidProjection(name, "initial answers the same object each time, which folds would then share")
    return first


def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # 50 ms that only a serialised state needs
    from pydantic.errors import PydanticSchemaGenerationError

    try:
        return TypeAdapter(kind)
    except PydanticSchemaGenerationError:  # a defaultdict, say: then each value speaks for itself
        return TypeAdapter(Any)


def _has_fields(kind: type) -> bool:
    return is_dataclass(kind) or is_model(kind)


def _is_immutable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return value is None or isinstance(value, (str, bytes, int, float, tuple, frozenset)) or _is_frozen(type(value))


def _is_frozen(kind: type) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    return bool(getattr(parameters, "frozen", False) or getattr(kind, "model_config", {}).get("frozen"))
