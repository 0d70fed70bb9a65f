"""Style sheets and scripts: the files that are there at the start, at addresses that change when they do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parents[1] / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""What is served, and as what; everything else in the folder (licences) is not."""
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    type: str
    digest: str


class Static:
    """All files, read once. What is asked for is looked up, never opened."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in _TYPES
        }

    def url(self, name: str) -> str:
        """The address of a file. Raises `KeyError` if there is none of this name."""
        return f"/ui/static/{self._files[name].digest}/{name}"

    async def get(self, request: web.Request) -> web.Response:
        """A file, or 304 to who has it."""
        file = self._files.get(request.match_info["name"])
        if file is None or file.digest != request.match_info["digest"]:
            raise web.HTTPNotFound
        headers = {"cache-control": _FOR_EVER, "etag": f'"{file.digest}"'}
        known = request.if_none_match or ()
        if any(tag.value in (file.digest, "*") for tag in known):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.content, content_type=file.type, charset="utf-8", headers=headers)


STATIC: web.AppKey[Static] = web.AppKey("gateway.admin.static", Static)


async def get_static(request: web.Request) -> web.Response:
    """One of the files in the manifest."""
    return await request.app[STATIC].get(request)


def _read(path: Path) -> _File:
    content = path.read_bytes()
    return _File(content, _TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:16])


routes = (web.get("/static/{digest}/{name:.+}", get_static),)
