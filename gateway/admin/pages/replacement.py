"""``server.webui.web_ui_path``: a directory of the operator's own, served in place of the dashboard."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

PREFIX = "/ui/"


async def serve_file(request: web.Request, folder: str) -> web.StreamResponse:
    """The file in ``folder`` that is asked for; of a directory its ``index.html``.

    Raises `HTTPNotFound` for what is not below it, whether by name or by a symbolic link, or is hidden.
    """
    if request.method not in ("GET", "HEAD"):
        raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
    if request.path == PREFIX.rstrip("/"):
        return web.Response(status=308, headers={"location": PREFIX})
    asked = unquote(request.rel_url.raw_path.removeprefix(PREFIX))
    found = await asyncio.to_thread(_find, Path(folder), asked)
    if found is None:
        raise web.HTTPNotFound
    return web.FileResponse(found, headers={"cache-control": "no-cache"})


def _find(folder: Path, asked: str) -> Path | None:
    if "\0" in asked or any(part.startswith(".") for part in asked.split("/")):
        return None
    try:
        root = folder.resolve(strict=True)
        found = (root / asked.lstrip("/")).resolve(strict=True)
        if found.is_dir():
            found = (found / "index.html").resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return found if found.is_relative_to(root) and found.is_file() else None
