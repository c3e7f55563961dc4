"""Every code block of the README is run as it stands there.

`python` blocks follow each other in one session, in one folder; a block that begins with `# file: NAME` is written to
that file instead. Lines of `console` blocks that begin with `$` are run in a shell in the same folder, and what they
print must be what stands below them, where something does. `sh` blocks hold the two commands that set everything up:
they are targets of the Makefile, and are checked to be there.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)

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


def test_the_readme_has_blocks_of_known_kinds_only() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh", "python", "console"}


def test_every_block_of_the_readme_does_what_it_says(tmp_path: Path) -> None:
    session = ""
    for kind, block in BLOCKS:
        named = FILE.match(block)
        if kind == "python" and named:
            (tmp_path / named[1]).parent.mkdir(exist_ok=True)
            (tmp_path / named[1]).write_text(block)
        elif kind == "python":
            session += block  # in a process of its own, as others have imported other projections here
            run(f"{sys.executable} -c {shlex.quote(session)}", tmp_path)
        elif kind == "console":
            for command, output in commands(block):
                printed = run(command, tmp_path)
                assert not output or printed.strip() == output.strip(), command


def test_the_commands_that_set_everything_up_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [line.split()[1] for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_mypy_is_strict_with_the_readme(tmp_path: Path) -> None:
    session = []
    for block in (block for kind, block in BLOCKS if kind == "python"):
        if named := FILE.match(block):
            (tmp_path / named[1]).parent.mkdir()
            (tmp_path / named[1]).with_name("__init__.py").touch()
            (tmp_path / named[1]).write_text(block)
        else:
            session.append(block)
    (tmp_path / "session.py").write_text("\n".join(session))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), "session.py"]
    environment = {**os.environ, "MYPYPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
