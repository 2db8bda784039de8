"""`python -m benchmarks.load`: live sessions, headsets, open consoles and REST at the same time, for long."""
