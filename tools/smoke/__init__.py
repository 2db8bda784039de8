"""`anc smoke`: test every feature of a running platform once, on any deployment."""
