"""HTML pages and plots of measurements."""
