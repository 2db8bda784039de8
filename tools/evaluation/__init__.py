"""What the platform is worth to a headset, in simulated time, against what a headset could do alone."""
