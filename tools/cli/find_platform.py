"""The platform that runs on this machine, proven by its key to be the one of a data folder."""

from pathlib import Path
from typing import NamedTuple

from anc.settings import Settings
from local.auth.issuer import Issuer
from local.data_folder import require_platform
from local.listen_ports import NotServing, published_keys
from tools.cli.terminal import command_line


class Found(NamedTuple):
    """A platform that answers: its address, and what signs tokens that it accepts."""

    url: str
    issuer: Issuer


def find_platform(port: int, data: Path, settings: Settings) -> Found:
    """Return the platform that uses a data folder and answers on a port of this machine.

    Parameters
    ----------
    port : int
    data : Path
        Nothing is created in it.
    settings : Settings

    Raises
    ------
    NotServing
        Nothing answers, or another program, or a platform that uses another folder.
    UnusableFolder
        No platform was ever started on the folder, or other users can access it.
    """
    require_platform(data)
    issuer = Issuer(data, settings)
    url = f"http://127.0.0.1:{port}"
    try:
        published = published_keys(url)
    except NotServing as fault:
        start = command_line("up", port, data)
        raise NotServing(f"{fault}; start a platform with `{start}`, or name another --port") from fault
    if published.isdisjoint(key["kid"] for key in issuer.jwks()["keys"]):
        raise NotServing(f"the platform at {url} uses another folder than {data}; name it with --data")
    return Found(url, issuer)
