"""What people ask of one stream: its history, what changed, which event did it, and since when it is wrong.

Each question folds a projection over a stream, event by event (`walk`), and answers with the events that matter, named
by id and key, so that one answer leads to the next question.
"""
