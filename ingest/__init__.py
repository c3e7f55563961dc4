"""The Lambda that stores every event of a bus. `app` has the handler."""
