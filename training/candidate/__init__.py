"""Train the candidate that may replace the shipped model; README.md compares the two."""
