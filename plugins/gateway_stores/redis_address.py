"""Where a Redis is: one server, the master that sentinels name, or a cluster, written as one address."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote

FORMS = (
    "must be host:6379, redis://host, rediss://host (TLS), redis+cluster://host,host or "
    "redis+sentinel://host:26379,host/name (rediss+… with TLS), with user:password@ before the host"
)
Topology = Literal["single", "sentinel", "cluster"]
Host = tuple[str, int]
"""Name and port."""

_SCHEMES: dict[str, tuple[Topology, bool]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:@/\[\]\s]+))(?::(?P<port>[0-9]{1,5}))?")
_QUERY = {"ssl_ca_certs", "sentinel_password"}


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address; its repr has no secrets."""

    topology: Topology
    hosts: tuple[Host, ...]
    """The server; or sentinels, or nodes of the cluster, to ask for it."""
    name: str = ""
    """What the sentinels call the master."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    database: int = 0
    tls: bool = False
    ca_file: str | None = None
    """Certificates to trust in place of the system's."""

    def __str__(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.hosts)


def parse_address(text: str, password: str | None = None, database: int = 0) -> Address:
    """Read an address; what it says itself wins over ``password`` and ``database``.
    Raises `ValueError` with a message that does not repeat the address."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "redis", text
    if scheme not in _SCHEMES:
        raise ValueError(f"addr: {FORMS}")
    topology, tls = _SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    if options.keys() - _QUERY:
        raise ValueError(f"addr: has an unknown option; known are {', '.join(sorted(_QUERY))}")
    authority, _, path = rest.partition("/")
    userinfo, _, hosts = authority.rpartition("@")
    username, _, own_password = userinfo.partition(":")
    name, number = _path(path, topology)
    database = database if number is None else number
    if topology == "cluster" and database:
        raise ValueError("database: must be 0: a cluster has no other")
    default = 26379 if topology == "sentinel" else 6379
    found = tuple(_host(one, default) for one in hosts.split(","))
    if topology == "single" and len(found) > 1:
        raise ValueError(f"addr: names several hosts: {FORMS}")
    return Address(
        topology=topology,
        hosts=found,
        name=name,
        username=unquote(username) or None,
        password=unquote(own_password) or password or None,
        sentinel_password=options.get("sentinel_password"),
        database=database,
        tls=tls,
        ca_file=options.get("ssl_ca_certs"),
    )


def _path(path: str, topology: Topology) -> tuple[str, int | None]:
    """The master's name, and the number of the database if there is one."""
    name, number = "", path
    if topology == "sentinel":
        name, _, number = path.partition("/")
        if not name:
            raise ValueError("addr: must end with the sentinels' name of the master, as in …/mymaster")
    if number and not number.isdecimal():
        raise ValueError("addr: the database must be a number")
    return unquote(name), int(number) if number else None


def _host(text: str, default: int) -> Host:
    found = _HOST.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"addr: {FORMS}")
    port = int(found["port"] or default)
    if not 0 < port < 65536:
        raise ValueError("addr: a port must be a number from 1 to 65535")
    return found["name"] or found["six"], port
