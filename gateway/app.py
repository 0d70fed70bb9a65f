"""The whole gateway on one page: middlewares, routes, resources."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.api import make_admin
from gateway.admin.pages.site import make_pages
from gateway.admin.state import ADMIN, make_state
from gateway.config.problems import opening
from gateway.health import livez, readyz
from gateway.keys import LIVE
from gateway.ledger.service import keeping_records
from gateway.reload import Reloader
from gateway.request.cache import ANSWERS, Answers
from gateway.request.count_tokens import count_tokens
from gateway.request.middlewares import authentication, border
from gateway.request.models import get_model, list_models
from gateway.request.operations import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    MODELS,
    MODERATIONS,
    RERANK,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
)
from gateway.request.passed import passed, passed_upload
from gateway.request.serve import handler
from gateway.runtime import Live
from gateway.scrape import metrics_handler

PREFIXES = ("", "/api")
"""Every path exists with and without the second."""


def make_app(live: Live, reloader: Reloader) -> web.Application:
    """The application; its resources open when it starts and close when it is cleaned up."""
    app = web.Application(middlewares=[border, authentication])
    app[LIVE] = live
    app[ANSWERS] = Answers(live.store, live.site, live.metrics)
    app[ADMIN] = make_state(live, reloader)
    prometheus = live.current.config.logging.prometheus
    for prefix in PREFIXES:
        _post(app, f"{prefix}/v1/chat/completions", handler(CHAT))
        _post(app, f"{prefix}/v1/completions", handler(COMPLETIONS))
        _post(app, f"{prefix}/v1/responses", handler(RESPONSES))
        _post(app, f"{prefix}/v1/embeddings", handler(EMBEDDINGS))
        _post(app, f"{prefix}/v1/messages", handler(MESSAGES))
        _post(app, f"{prefix}/v1/messages/count_tokens", handler(COUNT_TOKENS, count_tokens))
        _post(app, f"{prefix}/v1/moderations", handler(MODERATIONS, passed))
        _post(app, f"{prefix}/v1/images/generations", handler(IMAGES, passed))
        _post(app, f"{prefix}/v1/audio/speech", handler(SPEECH, passed))
        _post(app, f"{prefix}/v1/audio/transcriptions", handler(TRANSCRIPTIONS, passed_upload))
        _post(app, f"{prefix}/v1/audio/translations", handler(TRANSLATIONS, passed_upload))
        _post(app, f"{prefix}/v1/rerank", handler(RERANK, passed))
        _get(app, f"{prefix}/v1/models", handler(MODELS, list_models))
        _get(app, f"{prefix}/v1/models/{{id:.+}}", handler(MODELS, get_model))
        _get(app, f"{prefix}/health", livez)
        _get(app, f"{prefix}/livez", livez)
        _get(app, f"{prefix}/readyz", readyz)
        if prometheus.enabled:
            _get(app, f"{prefix}{prometheus.endpoint}", metrics_handler)
        app.add_subapp(f"{prefix}/admin", make_admin(app[ADMIN]))
    app.add_subapp("/ui", make_pages(app[ADMIN]))
    app.on_response_prepare.append(_anonymous)
    app.cleanup_ctx.append(_resources)
    return app


def _post(app: web.Application, path: str, handle: Handler) -> None:
    app.router.add_post(path, handle)


def _get(app: web.Application, path: str, handle: Handler) -> None:
    app.router.add_get(path, handle)


async def _anonymous(request: web.Request, response: web.StreamResponse) -> None:
    """What software answers, in which version, is nobody's business."""
    response.headers.popall("server", None)


async def _resources(app: web.Application) -> AsyncIterator[None]:
    """What lives as long as the application serves."""
    live = app[LIVE]
    audit = app[ADMIN].audit
    if audit is not None and live.current.config.server.admin_api_key is not None:
        with opening("logging.audit.path"):
            audit.open()
    with opening("storage.runtime"):
        await live.store.open(live.site)
    async with keeping_records(live.journal, live.store, live.current.config.storage.retention):
        yield
        live.ready = False
        await live.upstream.close()
        await app[ANSWERS].close()
        await live.log.close()
    await live.store.close()
    await live.managed.store.close()
