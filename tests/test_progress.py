from __future__ import annotations

import sys
import threading
from io import StringIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import progress
from eventsourcing_kit.progress import Progress, in_kernel, watched

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Called in a test itself, as pytest brings its own stderr between a fixture and its test."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What tqdm is asked to show, as in a notebook's kernel."""
    import tqdm.auto  # type: ignore[import-untyped]

    shown: list[Any] = []

    class Bar(tqdm.auto.tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            shown.append(self)
            super().__init__(*arguments, file=StringIO(), **options)

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object())))
    monkeypatch.setattr(progress, "_AFTER_SECONDS", 0)
    before = threading.active_count()
    yield shown
    assert threading.active_count() == before


def test_on_a_terminal_it_shows_after_a_while_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setattr(progress, "_AFTER_SECONDS", 0)
    with Progress("ingesting", total=10) as shown:
        face = shown._face
        assert isinstance(face, progress._Terminal)
        face._timer.join()
        shown.update(done=5, note="5 of [red]10")
    assert "ingesting" in terminal.getvalue()
    assert "5 of [red]10" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is erased


def test_what_takes_less_than_a_while_shows_nothing_and_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    before = {*threading.enumerate()}  # of which others may end meanwhile
    with Progress("ingesting") as shown:
        shown.update(done=5)
    shown.close()
    assert terminal.getvalue() == ""
    assert {*threading.enumerate()} <= before


def test_in_a_pipe_it_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_AFTER_SECONDS", 0)
    monkeypatch.setattr(sys, "stderr", pipe := StringIO())
    with Progress("ingesting") as shown:
        shown.update(done=5)
    assert pipe.getvalue() == ""


def test_the_library_itself_says_nothing_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    items = iter([1, 2, 3])
    assert watched(items, "folding") is items
    assert not in_kernel()


def test_in_a_kernel_a_loop_is_a_bar_that_goes_away(bars: list[Any]) -> None:
    assert list(watched(range(1_200), "folding events", every=500)) == list(range(1_200))
    (bar,) = bars
    assert bar.desc == "folding events"
    assert bar.n == 1_000  # told twice
    assert bar.leave is False
    assert bar.disable  # closed


def test_in_a_kernel_a_loop_that_is_left_or_raises_leaves_no_bar_open(bars: list[Any]) -> None:
    for number in watched(range(10), "folding events", every=1):
        if number == 5:
            break
    with pytest.raises(ZeroDivisionError):
        list(watched((1 // (3 - number) for number in range(10)), "folding events", every=1))
    assert [bar.disable for bar in bars] == [True, True]


def test_in_a_kernel_less_than_a_while_is_no_bar(monkeypatch: pytest.MonkeyPatch, bars: list[Any]) -> None:
    monkeypatch.setattr(progress, "_AFTER_SECONDS", 3_600)
    assert len(list(watched(range(100), "folding events", every=1))) == 100
    assert bars == []


def test_in_a_kernel_without_tqdm_there_is_no_bar_and_no_error(
    monkeypatch: pytest.MonkeyPatch, bars: list[Any]
) -> None:
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    assert len(list(watched(range(100), "folding events", every=1))) == 100
    assert bars == []


def test_a_shell_of_ipython_on_a_terminal_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert not in_kernel()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not in_kernel()
