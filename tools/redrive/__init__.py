"""List, show and redrive the dead letters of a queue, on AWS and on one machine."""
