"""A typed client of the ANC Platform's REST API.

with Client("http://127.0.0.1:8080", token) as anc:
    made = anc.register(NewDevice(thing="left", secondary=path))
    for session in anc.sessions():
        print(session.session, anc.session_summary(session.session).attenuation_db)
"""

from anc_client.client import Client, Processed
from anc_client.refusal import Refusal
from anc_client.schemas import (
    NewDevice,
    NewDeviceModel,
    NewKey,
    NewPath,
    NewPerson,
    NewSerials,
    NewSession,
    NewUpload,
    SessionChange,
    ShadowChange,
    TelemetryReport,
    Treatment,
    __version__,
)

__all__ = [
    "Client",
    "NewDevice",
    "NewDeviceModel",
    "NewKey",
    "NewPath",
    "NewPerson",
    "NewSerials",
    "NewSession",
    "NewUpload",
    "Processed",
    "Refusal",
    "SessionChange",
    "ShadowChange",
    "TelemetryReport",
    "Treatment",
    "__version__",
]
