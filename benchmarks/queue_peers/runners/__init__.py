"""One peer a module, run as `python -m` by the Python of the peer's own environment; they share the standard library only."""
