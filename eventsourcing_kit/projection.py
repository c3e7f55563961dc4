"""Projection: a named, versioned set of handlers and an initial state. It knows no store."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, cast, overload

import msgspec
from typing_extensions import TypeVar  # with a default: the result is the state, unless there is a key

from eventsourcing_kit.errors import FoldFailed, InvalidProjection
from eventsourcing_kit.upcast import Upcasters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import BaseModel, TypeAdapter, ValidationError

    from eventsourcing_kit.event import Event

__all__ = ["Folded", "Projection"]

State = TypeVar("State")
Result = TypeVar("Result", default=State)
Model = TypeVar("Model", bound="BaseModel")
Handler = TypeVar("Handler", bound="Callable[..., Any]")
Made = TypeVar("Made")
Route = Any  # Callable[[State, Event], State]; a NamedTuple or dict can not spell the variable

_UNROUTED: Final = object()


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
        _check_definition(name, initial, version)
        self.name = name
        self.version = version
        self._initial = initial
        self._key = key
        self._upcasters = upcasters or Upcasters()
        self._handlers: dict[str, _Handler] = {}
        self._other: _Handler | None = None
        self._routes: dict[str, Route | None] = {}

    @property
    def types(self) -> frozenset[str]:
        """The event types that have a handler of their own, as today's events name them."""
        return frozenset(self._handlers)

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
    def on(self, *types: str) -> Callable[[Handler], Handler]: ...

    def on(self, *types: Any, model: type[BaseModel] | None = None) -> Any:
        """Registers a handler `(state, event) -> state`, and gives it back unchanged.

        For one type or several; for every type that has no handler of its own, where none is named; for a pydantic
        model, whose name is the type (or the types are named beside it): then `event.data` is that validated model.
        """
        if len(types) == 1 and _is_model(types[0]):
            model = types[0]
            types = (types[0].__name__,)
        for type_ in types:
            if not isinstance(type_, str) or not type_:
                raise InvalidProjection(self.name, f"on() takes texts or one pydantic model, found {type_!r}")
        if model is not None and not types:
            raise InvalidProjection(self.name, "on(model=...) needs the types that the model is for")

        def register(handler: Handler) -> Handler:
            entry = _Handler(handler, model)
            for type_ in types:
                if type_ in self._handlers:
                    raise InvalidProjection(self.name, f"type '{type_}' has a handler already")
                self._handlers[type_] = entry
            if not types:
                if self._other is not None:
                    raise InvalidProjection(self.name, "there is a handler for all other types already")
                self._other = entry
            self._routes.clear()
            return handler

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
        returns_none = state is None
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
                    raise _NothingReturnedError
            except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
                self._fail(event, error, skip)
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
                    raise _NotAKeyError
                state = states[entity] if entity in states else self._initial()
                after = route(state, event)
                if after is None and state is not None:
                    raise _NothingReturnedError
            except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
                self._fail(event, error, skip)
                continue
            states[entity] = after
            count += 1
            last = event
        return Folded(cast("Result", states), count, last)

    def to_json(self, state: Result) -> bytes:
        """A state as JSON, through pydantic and the type of the initial state."""
        return self._adapter().dump_json(cast("Any", state))

    def _adapter(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter  # 50 ms that only a serialised state needs
        from pydantic.errors import PydanticSchemaGenerationError

        state_type = type(self._initial())
        try:
            return TypeAdapter(state_type if self._key is None else dict[str, state_type])  # type: ignore[valid-type]
        except PydanticSchemaGenerationError:
            reason = f"pydantic can not serialise a state of the type {state_type.__name__}"
            raise InvalidProjection(self.name, reason) from None

    def _route(self, type_: str) -> Route | None:
        if type_ not in self._routes:
            final, upcasts = self._upcasters.chain(type_)
            handler = self._handlers.get(final, self._other)
            self._routes[type_] = None if handler is None else handler.behind(final, upcasts)
        return self._routes[type_]

    def _fail(self, event: Event, error: Exception, skip: Callable[[FoldFailed], None] | None) -> None:
        reason, fields, cause = _explain(error)
        failed = FoldFailed(
            projection=self.name, stream=event.stream, key=event.key, event_id=event.id, reason=reason, fields=fields
        )
        failed.__cause__ = cause
        if skip is None:
            raise failed from cause
        skip(failed)

    def __repr__(self) -> str:
        return f"<Projection {self.name!r} version {self.version}>"


class _NothingReturnedError(Exception):
    pass


class _NotAKeyError(Exception):
    pass


class _InvalidDataError(Exception):
    def __init__(self, model: type[BaseModel], error: ValidationError) -> None:
        super().__init__()
        self.model = model
        self.error = error


def _explain(error: Exception) -> tuple[str, tuple[str, ...], Exception | None]:
    """A reason without values, the fields that a model refused, and the cause to chain (models quote values: none)."""
    if isinstance(error, _InvalidDataError):
        fields = _fields(error)
        return f"its data does not fit {error.model.__name__}: {', '.join(fields)}", fields, None
    if isinstance(error, _NothingReturnedError):
        return "the handler returned None; it has to return the state", (), None
    if isinstance(error, _NotAKeyError):
        return "key= answered something that is neither text nor None", (), None
    return f"{type(error).__name__} was raised", (), error


def _fields(failure: _InvalidDataError) -> tuple[str, ...]:
    known = set(failure.model.model_fields)
    known |= {field.alias for field in failure.model.model_fields.values() if field.alias}
    found = []
    for line in failure.error.errors(include_url=False, include_context=False, include_input=False):
        head, *rest = line["loc"] or ("data",)
        # Behind the first place a text may be a key of the payload itself.
        places = [str(head) if head in known or not line["loc"] else "*"]
        places += [str(place) if isinstance(place, int) else "*" for place in rest]
        found.append(f"{'.'.join(places)} ({line['type']})")
    return tuple(found)


def _check_definition(name: str, initial: object, version: int) -> None:
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


def _is_immutable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return value is None or isinstance(value, (str, bytes, int, float, tuple, frozenset)) or _is_frozen(type(value))


def _is_frozen(kind: type) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    return bool(getattr(parameters, "frozen", False) or getattr(kind, "model_config", {}).get("frozen"))


def _is_model(candidate: object) -> bool:
    return isinstance(candidate, type) and hasattr(candidate, "__pydantic_validator__")


class _Handler(NamedTuple):
    """A user's function, and the model that its events have to fit first."""

    function: Callable[[Any, Event], Any]
    model: type[BaseModel] | None

    def behind(self, final: str, upcasts: tuple[Callable[[Any, Event], Any], ...]) -> Route:
        """The function with all that stands before it: nothing at all in the plain case, which is the hot path."""
        function, model = self
        if model is None and not upcasts:
            return function

        def route(state: Any, event: Event) -> Any:
            data: Any = event.data if upcasts else None
            for upcast in upcasts:
                data = upcast(data, event)
            if model is not None:
                data = _validate(model, msgspec.json.encode(data) if upcasts else _data_json(event))
            return function(state, event.with_data(data, type=final))

        return route


def _validate(model: type[BaseModel], data: bytes | str) -> BaseModel:
    """Pydantic reads the JSON itself, so that a strict model takes what JSON can say. Its numbers are doubles."""
    from pydantic import ValidationError

    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise _InvalidDataError(model, error) from None


class _Data(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"")


_DATA: Final = msgspec.json.Decoder(_Data)


def _data_json(event: Event) -> bytes | str:
    text = event.detail_json
    try:
        raw = bytes(_DATA.decode(text).data)
    except msgspec.DecodeError:  # lone surrogates
        return json.dumps(event.data)
    return raw if raw.startswith(b"{") else text
