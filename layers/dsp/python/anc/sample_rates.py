"""Sample rates that the platform accepts, in Hz."""

MIN_RATE = 8_000
MAX_RATE = 192_000  # of live sessions and sound files
MAX_HEADSET_RATE = 96_000  # of a headset's control filter and snapshots
