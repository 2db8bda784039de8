"""Message formats between clients, headsets and the platform: parse, validate, encode."""
