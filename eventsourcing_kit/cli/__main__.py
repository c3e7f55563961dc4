"""`python -m eventsourcing_kit.cli` is `eskit`, where the console script is not on the path."""

from eventsourcing_kit.cli import main

main()
