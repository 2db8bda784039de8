"""A client of the REST API: thin, typed, and of the same models that the API validates with.

with Client("http://127.0.0.1:8080", token) as anc:
    made = anc.register(NewDevice(thing="left", secondary=path))
    for session in anc.sessions():
        print(session.session, anc.session_summary(session.session).attenuation_db)
"""

from anc.wire.rest.requests import (
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
)
from anc_client.client import Client, Refusal

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
    "Refusal",
    "SessionChange",
    "ShadowChange",
    "TelemetryReport",
    "Treatment",
]
