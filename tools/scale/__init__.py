"""`anc scale`: which limits a fleet meets, and how it reconnects after an outage."""
