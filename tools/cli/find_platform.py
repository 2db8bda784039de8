"""Find the platform on this machine that uses a given data folder; its signing key proves the match."""

from pathlib import Path
from typing import NamedTuple

from anc.settings import Settings
from local.auth.issuer import Issuer
from local.data_folder import require_platform
from local.listen_ports import NotServing, published_keys
from local.public_address import PublicAddress, trust
from tools.cli.terminal import DEFAULT_PORT, command_line


class RunningPlatform(NamedTuple):
    """The address of a running platform and an issuer of tokens that it accepts."""

    url: str
    issuer: Issuer


def find_platform(port: int | None, data: Path, settings: Settings) -> RunningPlatform:
    """Return the platform on this machine that serves a data folder.

    Parameters
    ----------
    port : int or None
        None for the one at which the platform was started last.
    data : Path
        Not modified.
    settings : Settings

    Raises
    ------
    NotServing
        No response, or one of another program, or of a platform with another data folder.
    UnusableFolder
        The folder holds no platform, or other users can access it.
    """
    require_platform(data)
    issuer = Issuer(data, settings)
    address = PublicAddress.read(data, DEFAULT_PORT, port)
    trust(address, data / "certificates")
    url = address.local_url
    try:
        published = published_keys(url)
    except NotServing as fault:
        start = command_line("up", address.port, data)
        raise NotServing(f"{fault}; start a platform with `{start}`, or set another --port") from fault
    if published.isdisjoint(key["kid"] for key in issuer.jwks()["keys"]):
        raise NotServing(f"the platform at {url} uses another folder than {data}; set it with --data")
    return RunningPlatform(url, issuer)
