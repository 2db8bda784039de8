"""Sound: live sessions, files and recordings; detection of noise and emergencies."""
