"""nginx in two parts: the mock upstream of whole answers, and the bare reverse proxy we compare with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from tests.bench.measure import LOAD_CORE, SERVER_CORE
from tests.bench.work import CHAT_ANSWER, GEMINI_ANSWER, MESSAGE_ANSWER
from tests.fakes.ports import free_port

_START_SECONDS = 10.0
_FRAME = """
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
error_log {folder}/error.log error;
pid {folder}/nginx.pid;
daemon off;
events {{ worker_connections 16000; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_requests 1000000000;
    keepalive_timeout 300;
    client_max_body_size 0;
    client_body_buffer_size 256k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
}}
"""
_MOCK = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /v1/chat/completions {{ return 200 '{chat}'; }}
        location = /v1/messages {{ return 200 '{message}'; }}
        location ~ :generateContent$ {{ return 200 '{gemini}'; }}
        location / {{ return 404; }}
    }}
"""
_PROXY = """
    upstream mock {{ server 127.0.0.1:{to}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering {buffering};
            proxy_read_timeout 300s;
        }}
    }}
"""


@asynccontextmanager
async def mock(folder: Path) -> AsyncIterator[int]:
    """The mock upstream on the load's core; gives its port."""
    port = free_port()
    answers = {"chat": CHAT_ANSWER, "message": MESSAGE_ANSWER, "gemini": GEMINI_ANSWER}
    bodies = {name: orjson.dumps(answer).decode() for name, answer in answers.items()}
    async with _running(_MOCK.format(port=port, **bodies), folder / "mock", LOAD_CORE, port):
        yield port


@asynccontextmanager
async def proxy(to: int, folder: Path, *, buffering: bool = True) -> AsyncIterator[tuple[int, int]]:
    """The reverse proxy on the measured core; gives its port and process id. Streams want no buffering."""
    port = free_port()
    http = _PROXY.format(port=port, to=to, buffering="on" if buffering else "off")
    async with _running(http, folder / f"proxy-{port}", SERVER_CORE, port) as pid:
        yield port, pid


@asynccontextmanager
async def _running(http: str, folder: Path, core: Sequence[str], port: int) -> AsyncIterator[int]:
    command = [*core, *_prepare(http, folder)]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await listening(port, process)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _prepare(http: str, folder: Path) -> list[str]:
    """Write the configuration; return the command that serves it."""
    folder.mkdir(exist_ok=True)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_FRAME.format(user=user, folder=folder, http=http))
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


async def listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until ``process`` accepts connections on ``port``. Raises `RuntimeError` if it ends instead."""
    async with asyncio.timeout(_START_SECONDS):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    raise RuntimeError(f"a server ended with {process.returncode} before it listened on port {port}")
