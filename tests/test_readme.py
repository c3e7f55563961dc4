"""Every code block of the README and of the pages in `docs` is run as it stands there.

`python` blocks follow each other in one session, in one folder; a block that begins with `# file: NAME` is written to
that file instead. Lines of `console` blocks that begin with `$` are run in a shell in the same folder, and what they
print must be what stands below them, where something does. `sh` blocks hold the two commands that set everything up:
they are targets of the Makefile, and are checked to be there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import eventsourcing_kit
from eventsourcing_kit import testing

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

FILE = re.compile(r"# file: (\S+)\n")


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that stands below it."""
    return [(command, output) for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)]


def run(command: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"COLUMNS": "120", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def blocks(page: Path) -> list[tuple[str, str]]:
    """The kind and the text of each code block."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_a_page_has_blocks_of_known_kinds_only(page: Path) -> None:
    kinds = {kind for kind, _ in blocks(page)}
    assert {"python", "console"} <= kinds <= {"sh", "python", "console"}


@each_page
def test_every_block_of_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    session = ""
    for kind, block in blocks(page):
        named = FILE.match(block)
        if kind == "python" and named:
            (tmp_path / named[1]).parent.mkdir(exist_ok=True)
            (tmp_path / named[1]).write_text(block)
        elif kind == "python":
            session += block  # in a process of its own, as others have imported other projections here
            printed = run(f"{sys.executable} -c {shlex.quote(session)}", tmp_path)
            missing = [said for said in comments(block) if not any(says(said, line) for line in printed.splitlines())]
            assert missing == [], printed
        elif kind == "console":
            for command, output in commands(block):
                printed = run(command, tmp_path)
                assert not output or stripped(printed) == stripped(output), command


def comments(block: str) -> list[str]:
    """What stands behind each `print` that says what it prints."""
    return re.findall(r"^ *print\(.*\)  # (.*)$", block, flags=re.MULTILINE)


def says(comment: str, line: str) -> bool:
    """Whether a comment is that line, perhaps with an explanation behind it."""
    return comment == line or (comment.startswith((f"{line}: ", f"{line}, ")) and bool(line))


def stripped(text: str) -> str:
    """Without the blanks with which a table ends its lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def test_the_commands_that_set_everything_up_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [line.split()[1] for kind, block in blocks(PAGES[0]) if kind == "sh" for line in block.splitlines()]
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@each_page
def test_mypy_is_strict_with_a_page(page: Path, tmp_path: Path) -> None:
    session = []
    (tmp_path / "projections").mkdir()
    shutil.copyfile(ROOT / "projections" / "shop.py", tmp_path / "projections" / "shop.py")
    for block in (block for kind, block in blocks(page) if kind == "python"):
        if named := FILE.match(block):
            (tmp_path / named[1]).parent.mkdir(exist_ok=True)
            (tmp_path / named[1]).with_name("__init__.py").touch()
            (tmp_path / named[1]).write_text(block)
        else:
            session.append(block)
    (tmp_path / "session.py").write_text("\n".join(session))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    # What has been checked of the kit already is not checked again for each page.
    command += ["--cache-dir", str(ROOT / ".mypy_cache"), "session.py"]
    environment = {**os.environ, "MYPYPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_public_name_stands_on_a_page() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    names = {*eventsourcing_kit.__all__, *testing.__all__}
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", text)) == []
