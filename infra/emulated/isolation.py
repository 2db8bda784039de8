"""Isolate the emulator in a network namespace, because its MQTT listener binds to all interfaces."""

import ctypes
import fcntl
import socket
import struct

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
SET_FLAGS, UP = 0x8914, 0x1  # SIOCSIFFLAGS, IFF_UP. Source: netdevice(7)


def isolate() -> bool:
    """Move this process and its children into a network namespace with only a loopback interface.

    Returns
    -------
    bool
        Whether this machine allows it: Linux allows it to root, most containers do not.
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
