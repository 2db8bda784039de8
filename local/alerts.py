"""`anc.ports.Alerts` of the local platform."""

import logging


class LoggedAlerts:
    """Write alerts to the log as warnings."""

    def publish(self, subject: str, text: str) -> None:
        """See `anc.ports.Alerts`."""
        logging.getLogger("anc.alerts").warning("%s: %s", subject, text)
