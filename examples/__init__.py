"""Example notebooks, and `export`, which runs them and makes the pages in `docs` of them."""
