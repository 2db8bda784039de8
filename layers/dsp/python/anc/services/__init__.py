"""The use cases. Each takes its ports as an argument and names every way it can refuse."""
