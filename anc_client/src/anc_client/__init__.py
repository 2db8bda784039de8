"""A typed client of the ANC Platform's REST API.

with Client("http://127.0.0.1:8080", token) as anc:
    registered = anc.register(NewDevice(thing="left", secondary=path))
    for session in anc.sessions():
        print(session.session, anc.session_summary(session.session).attenuation_db)
"""

from anc_client.client import Client, Processed
from anc_client.refusal import ApiError
from anc_client.schemas import (
    EmergencyChange,
    HeadsetConfig,
    NewDevice,
    NewDeviceModel,
    NewFirmware,
    NewKey,
    NewPath,
    NewRollout,
    NewSerials,
    NewSession,
    NewTelemetryReport,
    NewUpload,
    NewUser,
    ProcessingOptions,
    Rollout,
    RolloutQuery,
    SessionChange,
    ShadowChange,
    __version__,
)

__all__ = [
    "ApiError",
    "Client",
    "EmergencyChange",
    "HeadsetConfig",
    "NewDevice",
    "NewDeviceModel",
    "NewFirmware",
    "NewKey",
    "NewPath",
    "NewRollout",
    "NewSerials",
    "NewSession",
    "NewTelemetryReport",
    "NewUpload",
    "NewUser",
    "Processed",
    "ProcessingOptions",
    "Rollout",
    "RolloutQuery",
    "SessionChange",
    "ShadowChange",
    "__version__",
]
