"""Training clips of three seconds, composed of recordings and synthetic sounds."""
