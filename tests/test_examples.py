"""The example notebooks, run from top to bottom by a kernel that reaches no network, and the data of the second one."""

from __future__ import annotations

import gzip
import html
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from eventsourcing_kit import open_store, parse, rebuild
from examples.export import NOTEBOOKS, executed
from examples.git_data import git_data
from projections.git_tree import tree

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT: Final = Path(__file__).parents[1]
DATA: Final = Path(os.environ.get("GIT_DATA", ROOT.parent / "shared" / "data"))
GIT_HISTORY: Final = ROOT / "examples" / "git_history.ipynb"

# For every Python below the kernel: whoever asks for another machine is refused, and written down. What is no Python
# is told of a proxy, at which nobody listens.
_PROXY: Final = "http://127.0.0.1:9"
_REFUSING: Final = """\
import os, sys

HERE = ("", "localhost", "127.0.0.1", "::1")

def refuse(event, arguments):
    if event == "socket.connect":
        address, port = arguments[1][:2] if isinstance(arguments[1], tuple) else ("", 0)
        if port == 9:
            address = "proxy"
    elif event == "socket.getaddrinfo":
        address = arguments[0] or ""
    else:
        return
    if address not in HERE:
        with open(os.path.join(os.path.dirname(__file__), "asked"), "a") as file:
            file.write(f"{address}\\n")
        raise ConnectionRefusedError(f"no network: {address}")

sys.addaudithook(refuse)
"""


@dataclass(frozen=True)
class Offline:
    """An environment for a process that shall reach no network, and what it has asked for there."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        self.folder.mkdir()
        (self.folder / "sitecustomize.py").write_text(_REFUSING)
        paths = [str(self.folder), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), _PROXY)
        return {"PYTHONPATH": os.pathsep.join(paths), "GIT_DATA": str(DATA), **proxies}

    @property
    def asked(self) -> list[str]:
        file = self.folder / "asked"
        return file.read_text().splitlines() if file.exists() else []


def run(notebook: Path, folder: Path, **environment: str) -> NotebookNode:
    offline = Offline(folder / "offline")
    (folder / "here").mkdir()
    try:
        return executed(notebook, folder=folder / "here", environment={**offline.environment, **environment})
    finally:
        assert offline.asked == []


def outputs(notebook: NotebookNode) -> list[dict[str, Any]]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def told(notebook: NotebookNode) -> str:
    """All that a reader sees below the cells."""
    texts = [
        output.get("text", "") + "".join(output.get("data", {}).values()) for output in map(_plain, outputs(notebook))
    ]
    return html.unescape("\n".join(texts))


def _plain(output: dict[str, Any]) -> dict[str, Any]:
    data = {kind: text for kind, text in output.get("data", {}).items() if isinstance(text, str)}
    return {**output, "data": data}


def charts(notebook: NotebookNode) -> int:
    return sum("image/svg+xml" in output.get("data", {}) for output in outputs(notebook))


def complaints(notebook: NotebookNode) -> list[str]:
    """What was said on stderr, but for what `eskit` tells of its work."""
    said = [output["text"] for output in outputs(notebook) if output.get("name") == "stderr"]
    return [line for text in said for line in text.splitlines() if not line.startswith("eskit: ")]


def test_there_are_two_notebooks_and_they_hold_no_outputs() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["an_order_that_is_wrong", "git_history"]
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text())["cells"]
        assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_another_machine_can_not_be_reached_from_a_kernel(tmp_path: Path) -> None:
    offline = Offline(tmp_path / "offline")
    asking = "import socket, urllib.request; urllib.request.urlopen('http://192.0.2.1/')"
    environment = {**os.environ, **offline.environment, "http_proxy": ""}
    done = subprocess.run([sys.executable, "-c", asking], env=environment, capture_output=True, text=True, check=False)
    assert "no network: 192.0.2.1" in done.stderr
    assert offline.asked == ["192.0.2.1"]


def test_the_order_that_is_wrong_is_found_followed_tested_and_repaired(tmp_path: Path) -> None:
    notebook = run(ROOT / "examples" / "an_order_that_is_wrong.ipynb", tmp_path)
    seen = told(notebook)
    found = [
        "1,865  stored",
        "order-0187",
        "f3b75852-9548-5f0c-b06f-417fe90fb4d8",  # the second refund
        '"producer": "support-desk"',
        "9 events in 3 streams over 2d14h",
        "beside 299 others that began with OrderPlaced",
        '<td>2</td><td>1</td><td>["order-0187"]</td><td>["card-gateway", "support-desk"]</td>',  # nobody else
        "85bf459c-b3e0-5af3-81f3-fee78616a3b3",  # the payment that came in late
        "the same bytes for 912 events of 300 streams",
        "'refunded <= paid' does not hold",
        "1 failed",
        "1 passed",
        '<td>"order-0187"</td><td>-6480</td><td>0</td>',  # the only one that the repair has changed
    ]
    assert [text for text in found if text not in seen] == []
    assert seen.index("1 failed") < seen.index("1 passed")
    assert charts(notebook) == 4
    assert complaints(notebook) == []


@pytest.mark.skipif(not DATA.is_dir(), reason="it needs shared/data beside the project, or GIT_DATA")
def test_real_events_come_to_what_git_says(tmp_path: Path) -> None:
    notebook = run(GIT_HISTORY, tmp_path)
    seen = told(notebook)
    found = [
        "4,560 stored, 1,122 duplicates, all in the stream 'httpx'",
        "24 of 24 trees are equal to git's",
        "4,560 events in steps of",
        "httpcore/__init__.py",
        "19 July 2019",
        "until then: http3",
        "54 files differ, git says 54",
        "makes the later one: True",
        "known on 01 October 2019 19:05: 1,237 events; /httpx/__version__.py, /CHANGELOG.md",
    ]
    assert [text for text in found if text not in seen] == []
    assert charts(notebook) == 5
    assert complaints(notebook) == []


def test_without_data_it_says_what_it_needs_and_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match=r"are needed; .* python -m examples.git_data REPOSITORY FOLDER"):
        run(GIT_HISTORY, tmp_path, GIT_DATA="nowhere")


# Data of any repository


def git(repository: Path, *words: str, at: str = "") -> None:
    who = ("-c", "user.name=N", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false")
    when = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at} if at else {}
    environment = {**os.environ, **when, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *who, *words], cwd=repository, env=environment, check=True, capture_output=True)


def test_the_events_of_a_repository_come_to_what_git_says(tmp_path: Path) -> None:
    repository = tmp_path / "mine"
    repository.mkdir()
    git(repository, "init", "--initial-branch=main")
    steps: list[
        tuple[str, dict[str, str | None]]
    ] = [  # a file that is moved, one with an odd name, one that goes, and a clock that goes back
        ("2026-03-01T08:00:00+01:00", {"a": "1", "odd\t'näme'\n": "2", "dir/b": "3"}),
        ("2026-03-01T09:00:00+01:00", {"a": "4", "c": "5"}),
        ("2026-03-01T08:30:00+01:00", {"a": "6", "dir/b": None, "dir/d": "3"}),
        ("2026-03-01T08:30:00+01:00", {"a": "7"}),
        ("2026-03-03T08:00:00+01:00", {"c": None, "a": "8"}),
    ]
    for at, files in steps:
        for name, text in files.items():
            path = repository / name
            path.parent.mkdir(exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        git(repository, "add", "--all")
        git(repository, "commit", "--message", "-", at=at)
    events, oracle = git_data(repository, tmp_path / "data")
    assert (events.name, oracle.name) == ("git-mine.events.jsonl.gz", "git-mine.oracle.json.gz")
    with open_store("sqlite://") as store:
        store.append_many(parse(line) for line in gzip.decompress(events.read_bytes()).splitlines())
        said = json.loads(gzip.decompress(oracle.read_bytes()))
        assert [(each["at"], each["events"]) for each in said] == [
            ("2026-03-01T07:00:00Z", 3),
            ("2026-03-01T08:00:00Z", 9),  # three commits: the second one, and what its clock says is before it
            ("2026-03-03T07:00:00Z", 11),
        ]
        for each in said:
            answer = rebuild(tree, store, "mine", at=each["at"])
            assert (answer.state, answer.events) == (each["tree"], each["events"])
        assert sorted(said[-1]["tree"]) == ["a", "dir/d", "odd\t'näme'\n"]


def test_notebooks_are_valid() -> None:
    for path in NOTEBOOKS:
        nbformat.validate(json.loads(path.read_text()))  # type: ignore[no-untyped-call, unused-ignore]
