"""Evaluate the control path and alarm detection in simulated time, against methods without a platform."""
