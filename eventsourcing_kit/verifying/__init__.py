"""Verifying: does the same projection make the same bytes of the same events, whatever else is different?

    verification.py  `verify`: one projection, folded in one world after the other, and what they differ by
    tied.py          `check_ties`: many projections, and the order inside one moment
    answers.py       what both answer
    worlds.py        what can be different
    spool.py         the events, the same for all worlds
    processes.py     starts one process for each world; child.py is what it runs
    ties.py          orders that are allowed inside one moment
    pointers.py      where two states differ

It imports nothing, so that a world is quickly made.
"""
