"""The state of a headset, as a reported shadow state and as a telemetry report."""

from dataclasses import dataclass

from anc.headset_records import HeadsetMode
from anc.schemas.shadow import Configuration, FirmwareState, Reported
from anc.schemas.telemetry import TelemetryReport

MAX_REFUSAL_CHARS = 200


@dataclass(frozen=True)
class Status:
    """State of the headset. `mode` is the mode in force; `filters` counts the filters played."""

    mode: HeadsetMode = "cancel"
    intensity: float = 1.0
    filter_id: str = ""
    filters: int = 0
    reverted: int = 0
    refused: str = ""
    noise: str = ""
    noise_confidence: float = 0.0
    attenuation_db: float | None = None
    emergency: bool = False
    snapshots: int = 0

    def telemetry(self, firmware: str) -> TelemetryReport:
        """Return a telemetry report of this state."""
        return TelemetryReport(
            attenuation_db=self.attenuation_db,
            mode=self.mode,
            firmware=firmware or None,
            filters=self.filters,
            reverted=self.reverted,
            refused=self.refused[:MAX_REFUSAL_CHARS] or None,
        )

    def report(
        self, seq: int, config: Configuration, firmware: str, update: FirmwareState | None
    ) -> Reported:
        """Return the reported shadow state, with the sequence number of the latest snapshot."""
        return Reported(
            mode=self.mode,
            intensity=self.intensity,
            filter=self.filter_id,
            seq=seq,
            attenuation_db=self.attenuation_db,
            reverted=self.reverted,
            refused=self.refused[:MAX_REFUSAL_CHARS],
            config=config,
            firmware=firmware,
            update=update,
        )
