"""Makes events of a git repository, and git's own answers to check them by: `python -m examples.git_data REPO FOLDER`.

An event is a file that a commit of the current branch (its first parents) added, modified or deleted. Two files come
into the folder: `git-NAME.events.jsonl.gz`, envelopes as JSON Lines, and `git-NAME.oracle.json.gz`, the repository's
files at up to 24 moments as git says. Only paths, the names of contents, and times are taken over.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["git_data"]

_MOMENTS: Final = 24
_TYPES: Final = {"A": "FileAdded", "D": "FileDeleted"}  # all else is "FileModified"
_HEAD: Final = "\x01"
_LOG: Final = ("log", "--first-parent", "-m", "--reverse", "--raw", "--no-renames", "--no-abbrev", "-z")


@dataclass
class _Commit:
    name: str
    at: str  # never before the commit that it follows, whatever its committer's clock said
    changes: list[tuple[str, str, str | None]] = field(default_factory=list)  # type, path, blob


def git_data(repository: Path, folder: Path) -> tuple[Path, Path]:
    """Writes both files into `folder`, and answers where they are. Raises CalledProcessError where git fails."""
    name = repository.resolve().name.removesuffix(".git")
    commits = list(_commits(repository))
    envelopes = (json.dumps(envelope) for envelope in _envelopes(name, commits))
    files = folder / f"git-{name}.events.jsonl.gz", folder / f"git-{name}.oracle.json.gz"
    folder.mkdir(parents=True, exist_ok=True)
    files[0].write_bytes(gzip.compress("".join(f"{line}\n" for line in envelopes).encode(), mtime=0))
    files[1].write_bytes(gzip.compress(json.dumps(list(_oracle(repository, commits))).encode(), mtime=0))
    return files


def _commits(repository: Path) -> Iterator[_Commit]:
    """The commits that changed files, from the first one on."""
    latest = ""
    commit = _Commit("", "")
    tokens = iter(_git(repository, *_LOG, f"--format={_HEAD}%H %ct").split("\0"))
    for token in map(str.lstrip, tokens):
        if token.startswith(_HEAD):
            if commit.changes:
                yield commit
            name, seconds = token[len(_HEAD) :].split()
            latest = max(latest, f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}")
            commit = _Commit(name, latest)
        elif token.startswith(":"):
            *_, blob, status = token.split()
            commit.changes.append((_TYPES.get(status, "FileModified"), next(tokens), None if status == "D" else blob))
    if commit.changes:
        yield commit


def _envelopes(name: str, commits: Sequence[_Commit]) -> Iterator[dict[str, Any]]:
    for number, commit in enumerate(commits):
        for type_, path, blob in commit.changes:
            # Commits of one second are told apart by their number.
            metadata = {"time": commit.at, "correlationId": commit.name, "producer": "git", "sequence": number}
            yield {
                "version": "0",
                "id": str(uuid5(NAMESPACE_URL, f"{commit.name}/{path}")),
                "account": "123456789012",
                "region": "eu-west-1",
                "resources": [],
                "source": f"git.{name}",
                "detail-type": type_,
                "time": commit.at,
                "detail": {"metaData": metadata, "data": {"primaryKey": name, "path": path, "blob": blob}},
            }


def _oracle(repository: Path, commits: Sequence[_Commit]) -> Iterator[dict[str, Any]]:
    """What git says at moments that lie evenly over the events, each the end of its second."""
    total = sum(len(commit.changes) for commit in commits)
    events, wanted = 0, 0.0
    for commit, following in pairwise([*commits, _Commit("", "~")]):
        events += len(commit.changes)
        if commit.at < following.at and events >= wanted:
            wanted = events + total / _MOMENTS
            tree = _tree(repository, commit.name)
            yield {"commit": commit.name, "at": commit.at, "events": events, "files": len(tree), "tree": tree}


def _tree(repository: Path, commit: str) -> dict[str, str]:
    tree = {}
    for line in filter(None, _git(repository, "ls-tree", "-r", "-z", commit).split("\0")):
        about, _, path = line.partition("\t")
        tree[path] = about.split()[2]
    return tree


def _git(repository: Path, *words: str) -> str:
    command = ["git", "-C", str(repository), *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - git, with no shell between
    return done.stdout.decode(errors="replace")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m examples.git_data REPOSITORY FOLDER")
    for file in git_data(Path(sys.argv[1]), Path(sys.argv[2])):
        sys.stderr.write(f"{file}\n")
