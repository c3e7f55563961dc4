from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.testing import envelope
from tests.eskit import COMMAND, ROOT, Desk, desk_at, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS = ["demo", "ingest", "streams", "events", "rebuild", "doctor", "create-table", "migrate"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk


@pytest.fixture
def full(desk: Desk) -> Desk:
    """A desk with more events than any pipe holds."""
    desk.store(*(envelope("Counted", number=number, text="x" * 1_000) for number in range(500)))
    return desk


# Help


def test_without_a_command_there_is_help(desk: Desk) -> None:
    done = desk.run()
    assert done.code == 0
    assert [command for command in COMMANDS if command not in done.out] == []
    assert "Exit codes" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_examples_and_exit_codes(desk: Desk, command: str) -> None:
    for flag in ("--help", "-h"):
        done = desk.run(command, flag)
        assert done.code == 0
        assert f"  eskit {command}" in done.out
        assert "Exit codes: 0 " in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["streem"], "eskit: No such command 'streem'. Did you mean 'streams'?; see 'eskit --help'"),
        (["--bogus"], "eskit: No such option: --bogus; see 'eskit --help'"),
        (["rebuild"], "eskit: Missing argument 'NAME'; see 'eskit rebuild --help'"),
        (["\x1b[31mred"], "eskit: No such command '\\x1b[31mred'; see 'eskit --help'"),
    ],
)
def test_a_command_that_can_not_be_meant_is_one_line_and_code_2(desk: Desk, arguments: list[str], message: str) -> None:
    done = desk.run(*arguments)
    assert (done.code, done.out, done.err) == (2, "", f"{message}\n")


def test_the_version_can_be_asked_for(desk: Desk) -> None:
    done = desk.run("--version")
    assert (done.code, done.out.split()[0].rstrip(",")) == (0, "eskit")


# Missing libraries


def without(desk: Desk, library: str, *arguments: str) -> tuple[int, str]:
    """The command where a library is not installed: its exit code and stderr."""
    script = f"import sys; sys.modules[{library!r}] = None; from eventsourcing_kit.cli import main; main()"
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=desk.folder, env=desk.environ(), capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_without_its_extra_the_command_line_says_what_to_install(desk: Desk) -> None:
    code, err = without(desk, "typer", "streams")
    assert code == 2
    assert err == "eskit: the command line needs the library 'typer': pip install 'eventsourcing-kit[cli]'\n"


def test_without_boto3_a_table_says_what_to_install(desk: Desk) -> None:
    code, err = without(desk, "boto3", "streams", "--store", "dynamodb://events")
    assert code == 2
    said = "found 'no boto3', expected the library boto3: pip install 'eventsourcing-kit[aws]'"
    assert err == f"eskit: open_store: {said}\n"


def test_without_rich_there_are_no_tables(desk: Desk) -> None:
    desk.store(envelope("Placed"))
    assert without(desk, "rich", "streams")[0] == 0
    code, err = without(desk, "rich", "streams", "--format", "table")
    assert code == 2
    assert err.splitlines()[1:] == ["eskit: this needs the library 'rich': pip install 'eventsourcing-kit[cli]'"]


def test_a_fault_of_our_own_is_one_line_without_its_message(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise KeyError("canary")

    monkeypatch.setattr("eventsourcing_kit.cli.show.check_stream", fail)
    done = desk.run("events", "order-17")
    assert (done.code, done.out, len(done.talk)) == (70, "", 1)
    assert done.talk[0].startswith("eskit: a fault in eskit itself: KeyError at ")
    assert "canary" not in done.err


# Pipes and terminals


@pytest.mark.parametrize("how", ["jsonl", "table"])
def test_a_reader_that_has_enough_ends_the_command_quietly(full: Desk, how: str) -> None:
    with full.spawn("events", "order-17", "--format", how, "--details") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() != b""
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b"eskit: store 'sqlite:///events.db' (the default)\n"


def test_help_for_a_reader_that_went_away_ends_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [*COMMAND, "migrate", "--help"]
        done = subprocess.run(command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_ingest_whose_readers_went_away_is_done_to_its_end(desk: Desk, unbuffered: str) -> None:
    environ = {**desk.environ(), "PYTHONUNBUFFERED": unbuffered}
    desk.write("events.jsonl", "[]\n" * 2_000 + lines([envelope("Placed")]))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with desk.spawn("ingest", "events.jsonl", stdout=writing, stderr=writing, env=environ) as process:
            assert process.wait(timeout=60) == 1
    finally:
        os.close(writing)
    assert len(desk.run("events", "order-17").records) == 1


def test_with_closed_streams_a_command_does_its_work(desk: Desk) -> None:
    desk.write("events.jsonl", lines([envelope("Placed")]))
    command = f"{shlex.join(COMMAND)} ingest events.jsonl >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=desk.folder, env=desk.environ(), check=False).returncode == 0
    assert len(desk.run("events", "order-17").records) == 1


def test_a_terminal_without_unicode_shows_escapes(desk: Desk) -> None:
    desk.store(envelope("Placed", stream="größe"))
    environ = {**desk.environ(), "PYTHONIOENCODING": "ascii"}
    with desk.spawn("streams", "--format", "table", env=environ) as process:
        out, _ = process.communicate(timeout=60)
    assert out.split() == [b"stream", b"gr\\xf6\\xdfe"]


def test_in_a_pipe_there_are_json_lines_and_no_escapes(full: Desk) -> None:
    done = full.process("streams")
    assert (done.code, done.out) == (0, '{"stream":"order-17"}\n')
    assert "\x1b" not in done.err


def test_on_a_terminal_there_is_a_table(full: Desk) -> None:
    ours, theirs = pty.openpty()
    try:
        environ = {**full.environ(), "COLUMNS": "300", "TERM": "xterm-256color"}
        with full.spawn("events", "order-17", "--limit", "2", stdout=theirs, stderr=theirs, env=environ) as process:
            assert process.wait(timeout=60) == 0
        shown = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "recorded at" in shown
    assert shown.count("#Counted") == 2
    assert '{"' not in shown


# Interruption


def test_an_interrupted_rebuild_is_one_line_and_leaves_no_file(desk: Desk) -> None:
    desk.store(envelope("Placed"))
    desk.write(
        "projections/orders.py",
        "import os, signal\n"
        "from eventsourcing_kit import Projection\n"
        "orders = Projection('orders', initial=dict)\n"
        "@orders.on()\n"
        "def interrupt(state, event):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return state\n",
    )
    done = desk.process("rebuild", "orders", "--all", "-o", "orders.jsonl")
    assert (done.code, done.out, done.talk) == (130, "", ["eskit: interrupted"])
    assert sorted(path.name for path in desk.folder.glob("*orders*")) == []


# Completion


def completed(desk: Desk, words: str, number: int) -> list[str]:
    environ = {**desk.environ(), "_ESKIT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    done = subprocess.run(COMMAND, cwd=desk.folder, env=environ, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_commands_projections_and_streams(desk: Desk) -> None:
    desk.store(*(envelope("Placed", stream=stream) for stream in ("order-1", "order-2", "order-\x1b", "sku-1")))
    desk.write(
        "projections/orders.py",
        "from eventsourcing_kit import Projection\n"
        "print('talk')\n"
        "orders = Projection('orders', initial=dict)\n"
        "stock = Projection('stock', initial=dict)\n",
    )
    assert completed(desk, "eskit re", 1) == ["rebuild", "revisions", "redrive"]
    assert completed(desk, "eskit rebuild o", 2) == ["orders"]
    assert completed(desk, "eskit rebuild orders ord", 3) == ["order-1", "order-2"]
    assert completed(desk, "eskit events --store sqlite:///nowhere.db ord", 4) == []
    assert not (desk.folder / "nowhere.db").exists()


def test_the_module_can_be_run_and_is_found_from_any_folder(desk: Desk) -> None:
    assert desk.folder != ROOT
    assert desk.process("--version").code == 0
