"""wrk, for as many requests as a server can take: what one run of it cost the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench.config import client_key
from tests.bench.measure import LOAD_CORE, Void, cpu_seconds
from tests.bench.target import Target
from tests.bench.work import MARK, Work

CONNECTIONS = 32
_SLACK = 16
"""Bytes an answer's size may differ from the first one's: counters in headers."""
_SCRIPT = """
local body = io.open("%(body)s", "rb"):read("*a")
local requests, turn = {}, 0
function init()
    for client = 0, %(clients)d - 1 do
        local key = string.format("Bearer bench-%%05d", client)
        requests[client] = wrk.format("POST", "%(path)s",
            {["Authorization"] = key, ["Content-Type"] = "application/json", ["Host"] = "127.0.0.1"}, body)
    end
end
function request()
    turn = (turn + 1) %% %(clients)d
    return requests[turn]
end
function done(summary)
    local e = summary.errors
    io.write(string.format("RESULT {\\"requests\\":%%d,\\"us\\":%%d,\\"bytes\\":%%d,\\"errors\\":%%d}\\n",
        summary.requests, summary.duration, summary.bytes,
        e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Saturation:
    """What a server did when asked for all it could."""

    requests: int
    cpu_us: float
    """CPU of the server's processes, microseconds a request."""
    per_second: float


async def saturate(
    target: Target, work: Work, clients: int, seconds: int, folder: Path, *, connections: int = CONNECTIONS
) -> Saturation:
    """Ask as fast as answers come. Raises `Void` for any error, or answers of the wrong size."""
    size = await _answer_size(target, work)
    script = _write(target, work, clients, folder)
    command = [*LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, target.url]
    before = cpu_seconds(target.pid)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    cpu = cpu_seconds(target.pid) - before
    seen = orjson.loads(output.partition(b"RESULT ")[2].partition(b"\n")[0])
    if seen["errors"] or not seen["requests"]:
        raise Void(f"wrk saw {seen['errors']} errors in {seen['requests']} requests")
    if abs(seen["bytes"] / seen["requests"] - size) > _SLACK:
        raise Void(f"answers of {seen['bytes'] / seen['requests']:.0f} bytes, not {size}")
    return Saturation(seen["requests"], cpu / seen["requests"] * 1e6, seen["requests"] / seen["us"] * 1e6)


def _write(target: Target, work: Work, clients: int, folder: Path) -> str:
    body = folder / "wrk.body"
    body.write_bytes(work.body)
    few = min(clients, max(50_000_000 // len(work.body), 1))  # each client's request is held in memory
    script = folder / "wrk.lua"
    script.write_text(_SCRIPT % {"body": body, "clients": few, "path": target.path(work)})
    return str(script)


async def _answer_size(target: Target, work: Work) -> int:
    """Bytes of one answer, head included, after looking at what it says."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    try:
        writer.write(
            f"POST {target.path(work)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {client_key(0)}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(work.body)}\r\n\r\n".encode()
        )
        writer.write(work.body)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length)) if length else b""
    finally:
        writer.close()
    if b" 200 " not in head[:16] or MARK not in body:
        raise Void(f"{target.name} answers {head[:200]!r} {body[:300]!r}")
    return len(head) + len(body)
