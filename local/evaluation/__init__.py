"""What the platform is worth to a headset, measured in simulated time against what a headset could do alone."""
