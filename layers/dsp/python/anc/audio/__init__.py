"""Sound files: which formats the platform reads, and the one decoder that every entry uses."""
