"""Which clients may connect, and with which session: the rules of AWS IoT Core and of the deployed policy."""

from anc.schemas.claim import CLAIMING
from anc.schemas.snapshot import MQTT_PAYLOAD_LIMIT
from functions import headset_rights
from local.mqtt import claims, packets, properties
from local.mqtt.mqtt_connection import MAX_ALIASES, MAX_PACKET_BYTES, MqttConnection
from local.mqtt.sessions import EXPIRY_S

RECEIVE_MAXIMUM = 100
CLIENT_LIMITS = (properties.RECEIVE_MAXIMUM, properties.MAXIMUM_PACKET_SIZE)


class ConnectRefused(Exception):
    """Raised for a client that may not connect.

    Attributes
    ----------
    code : int
        Reason code of MQTT 5.
    explanation : str
    """

    def __init__(self, code: int, explanation: str) -> None:
        super().__init__(explanation)
        self.code = code
        self.explanation = explanation


def check(connect: packets.Connect, owner: str | None) -> None:
    """Check a CONNECT of a client whose certificate belongs to `owner`. Raises ConnectRefused."""
    if connect.level not in (packets.V311, packets.V5):
        raise ConnectRefused(
            packets.NOT_SUPPORTED_VERSION,
            f"the protocol must be MQTT 3.1.1 (level 4) or MQTT 5 (level 5) (got level {connect.level})",
        )
    if owner is None:
        raise ConnectRefused(packets.NOT_AUTHORIZED, "the certificate was revoked or is not active yet")
    if properties.AUTHENTICATION_METHOD in connect.properties:
        raise ConnectRefused(
            packets.BAD_AUTHENTICATION, "clients are authenticated by their certificate only"
        )
    if 0 in (connect.properties.get(limit) for limit in CLIENT_LIMITS):
        raise ConnectRefused(
            packets.PROTOCOL_ERROR, "the receive maximum and the maximum packet size must not be 0"
        )
    _check_identity(connect, owner)


def _check_identity(connect: packets.Connect, owner: str) -> None:
    if owner == CLAIMING:
        if not claims.may_connect(connect.client_id):
            raise ConnectRefused(
                packets.BAD_CLIENT_ID, "with a claim, the client id must be claim.{serial number}"
            )
        if connect.will:
            raise ConnectRefused(packets.NOT_AUTHORIZED, "with a claim, there must be no will")
        return
    if connect.client_id != owner:
        raise ConnectRefused(packets.BAD_CLIENT_ID, f"the client id must be the name of the headset, {owner}")
    if connect.will:
        _check_will(connect.will, owner)


def _check_will(will: packets.Will, owner: str) -> None:
    if will.qos > 1:
        raise ConnectRefused(packets.QOS_NOT_SUPPORTED, "the quality of service of the will must be 0 or 1")
    if will.retain:
        raise ConnectRefused(
            packets.RETAIN_NOT_SUPPORTED, "a headset may not publish retained messages, nor such a will"
        )
    if not headset_rights.may_publish(owner, will.topic):
        raise ConnectRefused(
            packets.NOT_AUTHORIZED, "the topic of the will must be one on which the headset may publish"
        )
    if len(will.payload) > MQTT_PAYLOAD_LIMIT:
        raise ConnectRefused(
            packets.PACKET_TOO_LARGE, f"the will must have at most {MQTT_PAYLOAD_LIMIT:,} bytes"
        )


def accept(connection: MqttConnection, connect: packets.Connect) -> None:
    """Apply a CONNECT to its connection."""
    connection.thing, connection.level, connection.will = connect.client_id, connect.level, connect.will
    given = connect.properties
    connection.receive_maximum = given.get(properties.RECEIVE_MAXIMUM, 0xFFFF)
    connection.maximum_packet_size = given.get(properties.MAXIMUM_PACKET_SIZE, MAX_PACKET_BYTES)
    connection.wants_reasons = bool(given.get(properties.WANTS_REASONS, 1))
    connection.keep_alive(connect.keep_alive_s)


def session_expiry_s(connect: packets.Connect) -> int:
    """Return how long the session outlives its connection."""
    if connect.level < packets.V5:
        return 0 if connect.clean else EXPIRY_S
    return min(int(connect.properties.get(properties.SESSION_EXPIRY, 0)), EXPIRY_S)


def accepted(connect: packets.Connect, present: bool, expiry_s: int) -> bytes:
    """Return the CONNACK, with the limits that apply."""
    limits = {
        properties.SESSION_EXPIRY: expiry_s,
        properties.RECEIVE_MAXIMUM: RECEIVE_MAXIMUM,
        properties.MAXIMUM_QOS: 1,
        properties.RETAIN_AVAILABLE: 0,
        properties.MAXIMUM_PACKET_SIZE: MAX_PACKET_BYTES,
        properties.TOPIC_ALIAS_MAXIMUM: MAX_ALIASES,
        properties.SUBSCRIPTION_IDS_AVAILABLE: 0,
        properties.SHARED_AVAILABLE: 0,
    }
    return packets.connack(connect.level, packets.SUCCESS, present, given=limits)
