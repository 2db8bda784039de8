"""A simulated headset: acoustics, scenes, disturbances and the network between it and the platform."""
