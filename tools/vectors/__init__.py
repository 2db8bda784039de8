"""Test vectors for other implementations of the protocol: `python -m tools.vectors` writes `docs/vectors`."""
