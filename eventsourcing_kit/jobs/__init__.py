"""Jobs: many streams rebuilt into a folder, or into a view beside the old one.

    folder.py      `rebuild_job`: parts, a manifest, and how a job is resumed
    manifest.py    what a job was asked and what it has done, as files
    parts.py       one part: its streams, rebuilt into a file
    publishing.py  `publish`: states into a view in place of the old ones; `check_view`
    reading.py     `read_view`: what a view has
    building.py    a new version of a view on its way, wherever it goes
    view.py        what a view is of, and what a place for views can do
    views.py       an SQLite file as such a place
    view_table.py  a DynamoDB table as such a place: the head, which one step changes
    view_items.py  and its rows
    asking.py      what is settled once, at the beginning
    worker.py      what a process of `workers` runs

It imports nothing, so that a worker is quickly there.
"""
