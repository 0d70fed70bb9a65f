"""One reload over all workers: the supervisor checks the file, then each takes over its content."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from gateway.config.overlay import Overlay
from gateway.config.read import ConfigError, Content, Loaded, fetch, load
from gateway.instances import build_plugins, installed
from gateway.registry import Registry
from gateway.reload import Reloaded, told
from gateway.workers.crew import Crew
from gateway.workers.member import Member

APPLY_SECONDS = 10.0
"""How long a worker may take; one that is slower still takes the content over."""
TRIES = 3
"""How often workers that came to different configurations are told to read again."""


class Beginning(NamedTuple):
    """What the gateway was started with: settings that wait for a restart stay like that in every worker."""

    content: Content
    """Of the file."""
    overlay: Overlay
    """What was set through the admin API."""
    loaded: Loaded
    """Both together."""


class Reloading:
    """The content that is in force, and the change to another."""

    def __init__(self, path: str | None, beginning: Beginning, registry: Registry) -> None:
        """``path``: None where the content cannot be read again."""
        self._path = path
        self._registry = registry
        self._first = beginning
        self._current = beginning.content
        self._version = beginning.loaded.version
        self._errors = told(beginning.loaded.refused)
        self._known: dict[Member, Content] = {}
        self._lock = asyncio.Lock()

    def orders(self, member: Member) -> dict[str, object]:
        """What a worker begins with: content and overlay of the start, for settings that wait for a restart,
        and the content in force, whatever is in the file by now."""
        self._known[member] = self._current
        return {
            "path": self._path,
            "first": pack(self._first.content),
            "overlay": self._first.overlay,
            "current": pack(self._current),
            "errors": self._errors,
        }

    async def catch_up(self, member: Member) -> None:
        """Let a worker have what changed while it started."""
        async with self._lock:
            if self._known.pop(member) is not self._current:
                await member.ask("apply", pack(self._current))

    async def reload(self, crew: Crew, why: str) -> Reloaded:
        """As `Reloader.reload`, over all workers."""
        async with self._lock:
            result = await self._agree(crew)
            await self._report(crew, why, result)
            return result

    async def follow(self, crew: Crew, why: str) -> Reloaded | None:
        """As `reload`, for what workers have seen by themselves; None, and told to nobody, if a reload has
        told of it already."""
        async with self._lock:
            version, errors = self._version, self._errors
            result = replace(await self._agree(crew), changed=self._version != version)
            if not result.changed and result.errors == errors:
                return None
            await self._report(crew, why, result)
            return result

    async def _report(self, crew: Crew, why: str, result: Reloaded) -> None:
        """Let every worker know the result, and one of them log it."""
        self._errors = result.errors
        speaker = min((member.number for member in crew.serving), default=0)
        report = {"result": result, "why": why, "version": self._version, "speaker": speaker}
        await crew.ask("reloaded", report, APPLY_SECONDS)

    async def _agree(self, crew: Crew) -> Reloaded:
        """Reload until all workers have come to the same configuration, or give that up."""
        result = Reloaded()
        for _ in range(TRIES):
            result, agreed = await self._reload(crew)
            if agreed:
                break
        return result

    async def _reload(self, crew: Crew) -> tuple[Reloaded, bool]:
        """The result, and whether all workers came to the same configuration."""
        try:
            content = self._current if self._path is None else await asyncio.to_thread(fetch, self._path)
            loaded = await asyncio.to_thread(load, content, os.environ, installed(self._registry))
            build_plugins(loaded.config, self._registry)
        except ConfigError as exc:
            return Reloaded(errors=told(exc.errors)), True
        answers = await crew.ask("apply", pack(content), APPLY_SECONDS)
        results = [orjson.loads(answer) for answer in answers.values()]
        told_by_each = (error for one in results for error in one["result"]["errors"])
        errors = list({orjson.dumps(error): error for error in told_by_each}.values())
        versions = {one["version"] for one in results}
        changed = not results or any(one["result"]["changed"] for one in results)
        waiting = dict.fromkeys(path for one in results for path in one["result"]["restart_required"])
        self._current, self._version = content, min(versions, default=loaded.version)
        return Reloaded(changed, errors, list(waiting)), len(versions) <= 1 and not errors


def pack(content: Content) -> list[Any]:
    """A file's content as plain JSON values."""
    return [content.data.decode("latin-1"), content.mode]


def unpack(packed: list[Any]) -> Content:
    """What was packed."""
    data, mode = packed
    return Content(data.encode("latin-1"), mode)
