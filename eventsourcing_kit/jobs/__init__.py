"""Jobs: many streams rebuilt into a folder, or into a table beside the old one.

    folder.py      `rebuild_job`: parts, a manifest, and how a job is resumed
    manifest.py    what a job was asked and what it has done, as files
    parts.py       one part: its streams, rebuilt into a file
    publishing.py  `publish`: states into a table in place of the old ones; `check_view`
    view.py        what a table is of
    views.py       the SQLite file that such tables are in
    asking.py      what is settled once, at the beginning
    worker.py      what a process of `workers` runs

It imports nothing, so that a worker is quickly there.
"""
