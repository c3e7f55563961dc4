"""A projection over which the questions are compared with the model: places, notes in an order, and a count."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from eventsourcing_kit import Event, Projection


class Board(BaseModel):
    places: dict[str, Any] = Field(default_factory=dict)
    notes: list[Any] = Field(default_factory=list)
    count: int = 0


board = Projection("board", initial=Board)


@board.on("Set")
def set_(state: Board, event: Event) -> Board:
    state.places[event.data["name"]] = event.data["value"]  # in place: nobody else may see that happen
    state.count += 1
    return state


@board.on("Removed")
def removed(state: Board, event: Event) -> Board:
    places = {name: value for name, value in state.places.items() if name != event.data["name"]}
    return state.model_copy(update={"places": places, "count": state.count + 1})


@board.on("Noted")
def noted(state: Board, event: Event) -> Board:
    state.notes.insert(event.data["at"], event.data["value"])
    state.count += 1
    return state


@board.on("Forgotten")
def forgotten(state: Board, event: Event) -> Board:
    return state.model_copy(update={"notes": state.notes[1:], "count": state.count + 1})
