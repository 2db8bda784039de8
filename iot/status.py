"""What a headset is doing, and how it tells it: to its shadow, and in a line of telemetry."""

from dataclasses import dataclass

from anc.schemas.shadow import Configuration, FirmwareState, HeadsetMode, Reported
from anc.schemas.telemetry import TelemetryReport

LONGEST_REFUSAL = 200


@dataclass(frozen=True)
class Status:
    """What the headset is doing. `filters` counts those that it played; `mode` is the one in force."""

    mode: HeadsetMode = "cancel"
    intensity: float = 1.0
    filter_id: str = ""
    filters: int = 0
    reverted: int = 0
    refused: str = ""
    noise: str = ""
    attenuation_db: float | None = None
    emergency: bool = False
    snapshots: int = 0

    def line(self, firmware: str) -> TelemetryReport:
        """Return what telemetry says of it."""
        return TelemetryReport(
            attenuation_db=self.attenuation_db,
            mode=self.mode,
            firmware=firmware or None,
            filters=self.filters,
            reverted=self.reverted,
            refused=self.refused[:LONGEST_REFUSAL] or None,
        )

    def report(
        self, seq: int, config: Configuration, firmware: str, update: FirmwareState | None
    ) -> Reported:
        """Return what the shadow is told: this, the latest snapshot's number, and what is in force."""
        return Reported(
            mode=self.mode,
            intensity=self.intensity,
            filter=self.filter_id,
            seq=seq,
            attenuation_db=self.attenuation_db,
            reverted=self.reverted,
            refused=self.refused[:LONGEST_REFUSAL],
            config=config,
            firmware=firmware,
            update=update,
        )
