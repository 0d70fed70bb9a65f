"""nginx and HAProxy with the configurations in ``etc/``, as they are but for addresses and certificates."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trustme

from tests.daemon.beside import beside
from tests.fakes.daemon import ROOT
from tests.fakes.ports import free_port

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
_NGINX = """\
{user}
error_log {folder}/error.log;
pid {folder}/nginx.pid;
daemon off;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
"""What there is of an nginx around a site."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """How to start one. ``changes``: what is replaced in its configuration; ``{port}`` and the like stand for
    where it listens, where the gateway does, and the files of the certificate."""

    name: str
    file: str
    changes: Sequence[tuple[str, str]]
    command: Callable[[str, Path], Sequence[str]]

    @property
    def program(self) -> str | None:
        return shutil.which(self.name, path=_PATH)


def _nginx(program: str, folder: Path) -> Sequence[str]:
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(user=user, folder=folder))
    (folder / "site.conf").write_text((folder / "config").read_text())
    return (program, "-p", str(folder), "-c", "nginx.conf", "-e", str(folder / "error.log"))


def _haproxy(program: str, folder: Path) -> Sequence[str]:
    return (program, "-db", "-f", str(folder / "config"))


NGINX = Proxy(
    "nginx",
    "nginx.conf",
    [
        ("listen 443 ", "listen 127.0.0.1:{port} "),
        ("127.0.0.1:2906;", "127.0.0.1:{to};"),
        ("/etc/ssl/certs/coo-llm.pem", "{folder}/cert.pem"),
        ("/etc/ssl/private/coo-llm.key", "{folder}/cert.pem"),
    ],
    _nginx,
)
HAPROXY = Proxy(
    "haproxy",
    "haproxy.cfg",
    [
        ("bind :443 ", "bind 127.0.0.1:{port} "),
        ("server one 127.0.0.1:2906", "server one 127.0.0.1:{to}"),
        ("/etc/haproxy/coo-llm.pem", "{folder}/cert.pem"),
    ],
    _haproxy,
)


@asynccontextmanager
async def proxied(proxy: Proxy, folder: Path, to: int, authority: trustme.CA) -> AsyncIterator[int]:
    """The port of a ``proxy`` in front of a gateway at the port ``to``."""
    port = free_port()
    _configure(proxy, folder, authority, {"port": port, "to": to, "folder": folder})
    assert proxy.program is not None
    async with beside(proxy.command(proxy.program, folder), partial(_listens, port)):
        yield port


def _configure(proxy: Proxy, folder: Path, authority: trustme.CA, places: Mapping[str, object]) -> None:
    folder.mkdir()
    text = (ROOT / "etc" / proxy.file).read_text()
    for standing, instead in proxy.changes:
        changed = text.replace(standing, instead.format_map(places))
        assert changed != text, f"{proxy.file} has no {standing}"
        text = changed
    (folder / "config").write_text(text)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "cert.pem")


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
