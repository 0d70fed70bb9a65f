"""Streams that are running, and requests that keep coming, while a service is restarted:

    python -m tests.package.load URL KEY STREAMS

prints ``running`` once every stream has begun, goes on until its input ends, waits for the streams' ends, and
prints as JSON what became of each request.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp

BETWEEN = 0.02
"""Seconds between two of the requests that keep coming."""


@dataclass(slots=True)
class Seen:
    """What a client saw of one request."""

    id: str
    status: int = 0
    """Of HTTP; 0: none, as the connection was refused or broken."""
    end: str = ""
    """``done``, the code of an error, or the exception that was the end of it."""
    text: int = 0
    """Pieces of content that came."""


@dataclass(frozen=True, slots=True)
class Load:
    """Requests to one gateway, each on a connection of its own."""

    session: aiohttp.ClientSession
    url: str

    async def run(self, streams: int) -> list[Seen]:
        """Half of the streams are short, half are longer than any patience."""
        begun = [asyncio.Event() for _ in range(streams)]
        running = [
            asyncio.create_task(self._stream(Seen(f"{kind}-{os.getpid()}-{number}"), event))
            for number, (kind, event) in enumerate(zip(("short", "long") * streams, begun, strict=False))
        ]
        for event in begun:
            await event.wait()
        print("running", flush=True)
        coming = await self._keep_coming()
        return [*await asyncio.gather(*running), *coming]

    async def _keep_coming(self) -> list[Seen]:
        told = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        asked: list[asyncio.Task[Seen]] = []
        while not told.done():
            asked.append(asyncio.create_task(self._whole(Seen(f"whole-{os.getpid()}-{len(asked)}"))))
            await asyncio.sleep(BETWEEN)
        return await asyncio.gather(*asked)

    async def _whole(self, seen: Seen) -> Seen:
        try:
            async with self._post(seen.id, {"model": "quick"}) as response:
                seen.status = response.status
                body = await response.json()
                seen.end = body["error"]["code"] if "error" in body else "done"
        except (aiohttp.ClientError, OSError) as exc:
            seen.end = repr(exc)
        return seen

    async def _stream(self, seen: Seen, begun: asyncio.Event) -> Seen:
        model = seen.id.partition("-")[0]
        try:
            async with self._post(seen.id, {"model": model, "stream": True}) as response:
                seen.status = response.status
                async for line in response.content:
                    if line.startswith(b"data: "):
                        self._take(seen, line.removeprefix(b"data: ").strip())
                        begun.set()
        except (aiohttp.ClientError, OSError) as exc:
            seen.end = repr(exc)
        begun.set()
        return seen

    def _take(self, seen: Seen, data: bytes) -> None:
        if data == b"[DONE]":
            seen.end = seen.end or "done"
            return
        event = json.loads(data)
        if "error" in event:
            seen.end = event["error"]["code"]
        elif any(choice["delta"].get("content") for choice in event.get("choices", [])):
            seen.text += 1

    def _post(self, id: str, body: dict[str, Any]) -> Any:
        messages = [{"role": "user", "content": "Hello"}]
        return self.session.post(self.url, json={**body, "messages": messages}, headers={"x-request-id": id})


async def main(url: str, key: str, streams: int) -> None:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None)
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        seen = await Load(session, f"{url}/v1/chat/completions").run(streams)
    print(json.dumps([asdict(one) for one in seen]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
