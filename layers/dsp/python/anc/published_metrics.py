"""The counters that are CloudWatch metrics as well: those of the alarms and of the dashboard.

AWS bills each pair of a function and a name as a metric. The totals in DynamoDB, which `/metrics` shows, have
all counters.
"""

DETECTION = ("anc_processor", "audio_receiver", "classifier", "rest_api")  # functions that classify sound
ENDPOINT = ("classifier",)  # functions that call the endpoint
CONTROL = ("anc_processor",)  # functions that design filters

FUNCTIONS = {
    "snapshot": CONTROL,
    "block_answer": ("audio_receiver",),
    "snapshot_shadow": ("audio_sender",),
    "emergency_open": ("anc_processor", "audio_receiver", "classifier"),
    "snapshots_processed": CONTROL,
    "filters_sent": CONTROL,
    "filters_kept": CONTROL,
    "filters_reverted": CONTROL,
    "filters_at_drivers_limit": CONTROL,
    "emergencies_raised": DETECTION,
    "classification_failed": DETECTION,
    "endpoint_answered": ENDPOINT,
    "endpoint_failed": ENDPOINT,
    "endpoint_circuit_open": ENDPOINT,
}


def is_published(function: str, name: str) -> bool:
    """Return whether the counter `name` of a function is a CloudWatch metric."""
    return function in FUNCTIONS.get(name, ())
