"""Pages as HTML, made without holding up the event loop, with what every page shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import aiohttp_jinja2
import jinja2
from aiohttp import web
from jinja2.runtime import Context

from gateway import __version__
from gateway.admin.errors import AdminError
from gateway.admin.login import COOKIE
from gateway.admin.pace import paced
from gateway.admin.pages.figures import FILTERS
from gateway.admin.pages.flash import forget_flash, read_flash
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.static import STATIC
from gateway.admin.sessions import csrf_token
from gateway.admin.state import CALLER
from gateway.admin.trail import SAFE
from gateway.keys import LIVE

SECTIONS: web.AppKey[tuple[Section, ...]] = web.AppKey("gateway.admin.sections", tuple)
LIVE_BLOCK = "live_"
"""What the names of blocks begin with that are sent anew while somebody watches."""


def set_up(app: web.Application, sections: tuple[Section, ...]) -> None:
    """Let pages of ``app`` be rendered."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("gateway.admin", "templates"),
        undefined=jinja2.StrictUndefined,
        filters=FILTERS,
        enable_async=True,
        default_helpers=False,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["paced"] = paced
    environment.globals["static"] = app[STATIC].url
    environment.globals["version"] = __version__
    environment.globals["links"] = {section.title: f"/ui{section.path}" for section in sections}
    app[SECTIONS] = sections
    app.on_startup.append(_prepare)


async def _prepare(app: web.Application) -> None:
    """Have what all templates use in all of them."""
    environment = aiohttp_jinja2.get_env(app)
    environment.globals["ui"] = await environment.get_template("ui.html").make_module_async()


async def whole(request: web.Request, page: Page) -> web.Response:
    """The page as an answer."""
    template = await _template(request, page)
    html = await template.render_async(_everything(request, page))
    response = web.Response(
        body=html.encode("utf-8", "replace"), status=page.status, content_type="text/html", charset="utf-8"
    )
    if request.method == "GET":
        forget_flash(request, response)
    return response


async def parts(request: web.Request, page: Page) -> dict[str, str]:
    """The HTML of its live blocks, by their names."""
    template = await _template(request, page)
    context = template.new_context(_everything(request, page))
    return {
        name: "".join([piece async for piece in _pieces(block, context)])
        for name, block in template.blocks.items()
        if name.startswith(LIVE_BLOCK)
    }


def error_page(error: AdminError) -> Page:
    """What went wrong, as a page."""
    return Page("error.html", {"error": error}, error.status)


def _pieces(block: Callable[[Context], object], context: Context) -> AsyncIterator[str]:
    """What a block makes of ``context``: in an environment like ours not what its type says."""
    return cast(AsyncIterator[str], block(context))


async def _template(request: web.Request, page: Page) -> jinja2.Template:
    return await asyncio.to_thread(aiohttp_jinja2.get_env(request.app).get_template, page.template)


def _everything(request: web.Request, page: Page) -> dict[str, Any]:
    """What the page shows, and what its surroundings do."""
    caller = request.get(CALLER)
    inside = caller is not None and caller.session is not None and COOKIE in request.cookies
    live = request.app[LIVE]
    path = request.path.removeprefix("/ui")
    return {
        "here": str(request.rel_url),
        "sections": [
            (section.title, f"/ui{section.path}", _leads_to(section, path))
            for section in request.app[SECTIONS]
        ],
        "inside": inside,
        "csrf": csrf_token(request.cookies[COOKIE]) if inside else "",
        "operator": live.current.config.server.webui.admin_id,
        "everyone": live.current.clients.open_to_all,
        "flash": read_flash(request) if inside else None,
        "every": page.every,
        "unsaved": request.method not in SAFE,
        **page.values,
    }


def _leads_to(section: Section, path: str) -> bool:
    return path == section.path or (section.path != "/" and path.startswith(section.path + "/"))
