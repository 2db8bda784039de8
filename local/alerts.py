"""`anc.ports.Alerts` on this machine."""

import logging


class LoggedAlerts:
    """`anc.ports.Alerts` in the log, at a level that people look at."""

    def publish(self, subject: str, text: str) -> None:
        """See `anc.ports.Alerts`."""
        logging.getLogger("anc.alerts").warning("%s: %s", subject, text)
