"""A network of its own for an emulator whose MQTT listener is on every interface."""

import ctypes
import fcntl
import socket
import struct

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
SET_FLAGS, UP = 0x8914, 0x1  # SIOCSIFFLAGS, IFF_UP. Source: netdevice(7)


def isolate() -> bool:
    """Move this process, and whatever it starts, into a network that has a loopback and nothing else.

    Returns
    -------
    bool
        Whether the machine allowed it: Linux does to root, most containers do not.
    """
    try:
        unshare = ctypes.CDLL(None, use_errno=True).unshare
    except (AttributeError, OSError, TypeError):
        return False
    if unshare(NEW_NETWORK) != 0:
        return False
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH", b"lo", UP))
    return True
