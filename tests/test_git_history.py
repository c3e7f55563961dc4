"""Real events against an independent oracle: what git itself says of a repository at 24 moments."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from eventsourcing_kit import bisect, blame, diff, history, open_store, parse, rebuild, trail
from eventsourcing_kit.patches import ABSENT
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.stores.contract import Counts
from projections.git_tree import tree
from tests.eskit import desk_at

DATA = Path(__file__).parents[2] / "shared" / "data"
EVENTS = DATA / "git-httpx.events.jsonl.gz"
ORACLE = DATA / "git-httpx.oracle.json.gz"

pytestmark = pytest.mark.skipif(
    not (EVENTS.is_file() and ORACLE.is_file()),
    reason="it needs git-httpx.events.jsonl.gz and git-httpx.oracle.json.gz in shared/data beside the project",
)


@dataclass(frozen=True)
class Said:
    """What git says of one moment."""

    at: str
    events: int
    tree: dict[str, str]


@pytest.fixture(scope="module")
def envelopes() -> list[str]:
    with gzip.open(EVENTS, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


@pytest.fixture(scope="module")
def oracle() -> list[Said]:
    with gzip.open(ORACLE, "rt", encoding="utf-8") as file:
        return [Said(said["at"], said["events"], said["tree"]) for said in json.load(file)]


@pytest.fixture(params=["sqlite in memory", "sqlite on disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStore]:
    url = "sqlite://" if request.param == "sqlite in memory" else f"sqlite:///{tmp_path / 'events.db'}"
    with open_store(url) as store:
        yield store


def deliver(store: BaseStore, envelopes: list[str], *, seed: int) -> Counts:
    """All envelopes in random order, and a quarter of them once more somewhere behind."""
    chance = Random(seed)  # noqa: S311 - a test, no secret
    deliveries = envelopes + chance.sample(envelopes, len(envelopes) // 4)
    chance.shuffle(deliveries)
    return store.append_many(parse(envelope) for envelope in deliveries)


def differences(store: BaseStore, oracle: list[Said]) -> list[str]:
    """The moments at which the store's answer is not git's, and what differs."""
    found = []
    for said in oracle:
        rebuilt = rebuild(tree, store, "httpx", at=said.at)
        assert rebuilt.complete
        if rebuilt.events != said.events:
            found.append(f"{said.at}: {rebuilt.events} events, git says {said.events}")
        found += [f"{said.at}: {path}" for path, _ in sorted(rebuilt.state.items() ^ said.tree.items())]
    return found


def test_the_data_are_what_their_description_says(envelopes: list[str], oracle: list[Said]) -> None:
    assert (len(envelopes), len(oracle)) == (4560, 24)
    assert (oracle[0].events, oracle[-1].events) == (261, 4520)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_whatever_order_events_arrive_every_state_is_gits_own(
    store: BaseStore, envelopes: list[str], oracle: list[Said], seed: int
) -> None:
    counts = deliver(store, envelopes, seed=seed)
    assert (counts.stored, counts.duplicate, counts.other_id, counts.twins) == (4560, 1140, 0, 2993)
    assert differences(store, oracle) == []


def test_delivering_everything_again_changes_no_state(
    store: BaseStore, envelopes: list[str], oracle: list[Said]
) -> None:
    deliver(store, envelopes, seed=4)
    again = deliver(store, envelopes, seed=5)
    assert (again.stored, again.duplicate) == (0, 5700)
    assert differences(store, oracle) == []


def test_an_event_is_neither_folded_before_its_moment_nor_missing_at_it(envelopes: list[str]) -> None:
    with open_store("sqlite://") as store:
        deliver(store, envelopes, seed=6)
        just_before = rebuild(tree, store, "httpx", at="2019-04-04T12:27:54.999999999Z")
        assert (just_before.state, just_before.events) == ({}, 0)
        first_commit = rebuild(tree, store, "httpx", at="2019-04-04T13:27:55+01:00")
        assert sorted(first_commit.state) == [".gitignore", "LICENSE.md", "httpcore/__init__.py", "setup.py"]


def test_on_dynamodb_every_state_is_gits_own(dynamodb_url: str, envelopes: list[str], oracle: list[Said]) -> None:
    with open_store(dynamodb_url) as store:
        store.create_table()
        counts = deliver(store, envelopes, seed=7)
        assert (counts.stored, counts.duplicate, counts.other_id, counts.twins) == (4560, 1140, 0, 2993)
        assert differences(store, [oracle[0], oracle[11], oracle[23]]) == []


@pytest.fixture(scope="module", params=["sqlite", "dynamodb"])
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, envelopes: list[str]
) -> Iterator[BaseStore]:
    """The whole history in a store of each kind, for questions."""
    url = f"sqlite:///{tmp_path_factory.mktemp('git')}/events.db"
    if request.param == "dynamodb":
        endpoint = request.getfixturevalue("dynamodb_endpoint")
        url = f"dynamodb://eskit-test-git?region=eu-west-1&endpoint_url={endpoint}"
    with open_store(url) as store:
        store.create_table()
        deliver(store, envelopes, seed=8)
        yield store


def test_the_difference_between_two_moments_is_the_difference_between_gits_trees(
    told: BaseStore, oracle: list[Said]
) -> None:
    for before, after in pairwise(oracle[::6]):
        found = diff(tree, told, "httpx", before.at, after.at)
        assert (found.before, found.apply(before.tree)) == (before.tree, after.tree)
        changed = {path for path, _ in before.tree.items() ^ after.tree.items()}
        assert {parts(place)[1] for place in found.touched} == changed


def parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]


def test_who_changed_a_file_is_what_the_envelopes_say(told: BaseStore, envelopes: list[str]) -> None:
    path = "httpx/_client.py"
    found = blame(tree, told, "httpx", f"/{path.replace('/', '~1')}")
    data = [json.loads(line)["detail"]["data"] for line in envelopes]
    blobs = [each["blob"] for each in data if each["path"] == path]
    assert sorted(str(change.new) for change in found) == sorted("ABSENT" if blob is None else blob for blob in blobs)
    assert found[-1].old is ABSENT
    for after, before in pairwise(found):
        assert after.old == before.new


def test_the_first_moment_with_a_file_is_found(told: BaseStore, envelopes: list[str]) -> None:
    path = "httpx/_client.py"
    found = bisect(tree, told, "httpx", lambda files: path not in files, bad="2020-06-01")
    assert (found.event.type, found.event.data["path"]) == ("FileAdded", path)
    assert found.after == {**found.before, path: found.event.data["blob"]}
    assert found.folds <= 14  # ceil(log2 4,560) + 1


def test_every_step_of_the_history_changes_the_file_that_its_event_names(told: BaseStore, oracle: list[Said]) -> None:
    files: dict[str, str] = {}
    steps = 0
    for step in history(tree, told, "httpx", at=oracle[2].at):
        path, blob = step.event.data["path"], step.event.data["blob"]
        files = {name: value for name, value in files.items() if name != path} | ({path: blob} if blob else {})
        assert step.state == files
        assert [parts(operation["path"])[1:] for operation in step.patch] in ([[path]], [])
        steps += 1
    assert (files, steps) == (oracle[2].tree, oracle[2].events)


def test_the_command_line_says_the_same_of_git(
    told: BaseStore, oracle: list[Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/httpx~1_client.py"
    commit = next(iter(told.read("httpx"))).correlation_id or ""
    answers = {
        ("diff", "tree", "httpx", oracle[0].at, oracle[3].at): diff(tree, told, "httpx", oracle[0].at, oracle[3].at),
        ("blame", "tree", "httpx", path): blame(tree, told, "httpx", path),
        ("bisect", "tree", "httpx", "length(keys(@)) < `50`"): bisect(tree, told, "httpx", "length(keys(@)) < `50`"),
        ("timeline", "tree", "httpx", "--at", "event:9"): history(tree, told, "httpx", at="event:9"),
        ("trail", commit): trail(told, commit),
    }
    with desk_at(tmp_path, monkeypatch) as desk:
        for question, answer in answers.items():
            done = desk.run(
                *question, *([] if question[0] == "trail" else ["--app", "projections.git_tree"]), "--store", told.url
            )
            assert done.code == 0, done.err
            assert done.out.splitlines() == list(answer.to_json_lines())
            assert done.out
    assert len(answers["trail", commit].to_dicts()) == 4  # as many files as the first commit has
