"""Readiness, watchdog and socket activation, against real sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.systemd import listen_sockets, notify, watchdog_interval


@pytest.fixture(params=["path", "abstract"])
def channel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's end, and the address a service would find in its environment."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@coo-llm-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0"))
        manager.setblocking(False)
        yield manager, address


def test_notify_reaches_the_manager(channel: tuple[socket.socket, str]) -> None:
    manager, address = channel
    assert notify("READY=1\nSTATUS=Überall bereit", {"NOTIFY_SOCKET": address})
    assert manager.recv(1024).decode() == "READY=1\nSTATUS=Überall bereit"


def test_notify_never_blocks_on_a_manager_that_does_not_read(channel: tuple[socket.socket, str]) -> None:
    _, address = channel
    environ = {"NOTIFY_SOCKET": address}
    assert any(not notify("WATCHDOG=1", environ) for _ in range(100_000))


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_notify_without_a_manager_does_nothing(environ: dict[str, str]) -> None:
    assert not notify("READY=1", environ)


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval(environ: dict[str, str], seconds: float | None) -> None:
    assert watchdog_interval(environ) == seconds


def test_listen_sockets_are_taken_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        inherited = os.dup(server.fileno())
        os.set_inheritable(inherited, True)
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http", "HOME": "/"}
        [taken] = listen_sockets(environ, first_fd=inherited)
        with taken:
            assert taken.getsockname() == server.getsockname()
            assert not taken.get_inheritable()
            assert environ == {"HOME": "/"}
            assert listen_sockets(environ, first_fd=inherited) == []


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "-1"},
    ],
)
def test_sockets_meant_for_others_are_left_alone(environ: dict[str, str]) -> None:
    before = dict(environ)
    assert listen_sockets(environ) == []
    assert environ == before


def test_a_descriptor_that_is_no_socket_is_an_error(tmp_path: Path) -> None:
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(OSError, match=r"Socket operation on non-socket"),
    ):
        listen_sockets(environ, first_fd=file.fileno())
