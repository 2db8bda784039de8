"""The state of a headset, as a reported shadow state and as a telemetry report."""

from dataclasses import dataclass

from anc.headset_records import HeadsetMode
from anc.schemas.shadow import Configuration, Desired, FirmwareState, Reported
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
        self,
        desired: Desired,
        seq: int,
        config: Configuration,
        firmware_version: str,
        update: FirmwareState | None,
    ) -> Reported:
        """Return the reported shadow state.

        Parameters
        ----------
        desired : Desired
            The desired state that was processed.
        seq : int
            Sequence number of the latest snapshot.
        config : Configuration
            The active configuration.
        firmware_version : str
        update : FirmwareState or None
        """
        return Reported(
            mode=desired.mode,
            intensity=desired.intensity,
            filter=desired.filter,
            reason=desired.reason,
            noise=desired.noise,
            without_control=desired.without_control,
            firmware=desired.firmware,
            config=config,
            seq=seq,
            active_mode=self.mode,
            active_filter=self.filter_id,
            attenuation_db=self.attenuation_db,
            reverted=self.reverted,
            refused=self.refused[:MAX_REFUSAL_CHARS],
            firmware_version=firmware_version,
            update=update,
        )
