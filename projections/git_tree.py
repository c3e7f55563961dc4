"""The files of a repository as of any moment: path -> blob, from the changes that its commits made."""

from __future__ import annotations

from eventsourcing_kit import Event, Projection

Files = dict[str, str]

tree = Projection("tree", initial=Files)


@tree.on("FileAdded", "FileModified")
def written(files: Files, event: Event) -> Files:
    return {**files, event.data["path"]: event.data["blob"]}


@tree.on("FileDeleted")
def deleted(files: Files, event: Event) -> Files:
    return {path: blob for path, blob in files.items() if path != event.data["path"]}
