"""`anc smoke`: everything that a platform does, done once, on any deployment."""
