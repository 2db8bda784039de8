"""Headsets: registration, control filters, telemetry and status."""
