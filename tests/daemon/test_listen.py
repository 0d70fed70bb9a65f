"""Where the gateway can be reached: TCP, Unix sockets, sockets handed over; and where it cannot."""

from __future__ import annotations

import socket
from pathlib import Path

import aiohttp
import pytest

from gateway.config.schema import Server
from gateway.listeners import CannotBind
from tests.daemon.command import coo_llm
from tests.daemon.listening import listening


async def get(url: str, connector: aiohttp.BaseConnector | None = None) -> str:
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
        return await response.text()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("127.0.0.1:0", "127.0.0.1"),
        ("localhost:0", "127.0.0.1"),
        pytest.param("[::1]:0", "[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")),
    ],
)
async def test_tcp(listen: str, host: str) -> None:
    async with listening(Server(listen=listen)) as listeners:
        address = next(address for address in listeners.addresses if address.startswith(f"{host}:"))
        assert not address.endswith(":0")
        assert await get(f"http://{address}/") == "hello"


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway.sock")
    async with listening(Server(listen=f"unix:{path}")) as listeners:
        assert listeners.addresses == [f"unix:{path}"]
        assert await get("http://localhost/", aiohttp.UnixConnector(path)) == "hello"


async def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with listening(Server(listen=f"unix:{path}")):
        assert await get("http://localhost/", aiohttp.UnixConnector(str(path))) == "hello"


async def test_the_socket_of_a_live_process_is_not(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    async with listening(Server(listen=f"unix:{path}")):
        with pytest.raises(CannotBind, match=r"gateway\.sock: Address already in use"):
            async with listening(Server(listen=f"unix:{path}")):
                pass
        assert await get("http://localhost/", aiohttp.UnixConnector(str(path))) == "hello"


async def test_a_file_is_not_removed_for_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    path.write_text("mine")
    with pytest.raises(CannotBind, match="there is a file of this name"):
        async with listening(Server(listen=f"unix:{path}")):
            pass
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("listen", "reason"),
    [
        ("unix:/does/not/exist/s", "No such file or directory"),
        ("unix:/" + "x" * 120, "too long"),
        ("192.0.2.1:0", "Cannot assign requested address"),
        ("no-such-host.invalid:80", "not known|resolution"),
        ("fd://", "no sockets were handed over"),
    ],
)
async def test_addresses_that_cannot_be(listen: str, reason: str) -> None:
    with pytest.raises(CannotBind, match=reason) as refused:
        async with listening(Server(listen=listen)):
            pass
    assert str(refused.value).startswith(f"cannot listen on {listen}: ")


async def test_a_port_in_use_ends_with_3_and_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "c.yaml").write_text(
            f"server: {{listen: '{address}'}}\nllm_providers: [{{type: echo}}]\n"
        )
        done = await coo_llm("-c", "c.yaml", folder=tmp_path)
    assert (done.code, done.err) == (3, f"cannot listen on {address}: Address already in use\n")
