"""The application's middlewares: the border where errors become answers, and authentication."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.api import ApiError
from gateway.dialects.spoken import dialect_at
from gateway.keys import CLIENT, LIVE, REQUEST_ID
from gateway.request.authenticate import authenticate
from gateway.request.cors import allow_origin, preflight
from gateway.request.errors import error_response, internal, quoted
from gateway.request.head import line
from gateway.request_id import sane_request_id
from gateway.server import Direct

_CLIENT_PATHS = ("/v1/", "/api/v1/")


@web.middleware
async def border(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id; turn whatever is raised into an answer in its client's dialect."""
    request[REQUEST_ID] = request_id = sane_request_id(request.headers.get("x-request-id"))
    cors = request.app[LIVE].current.config.server.cors
    response: web.StreamResponse | None = preflight(request, cors) if cors.enabled else None
    try:
        response = response or await handler(request)
    except ApiError as error:
        response = _refusal(request, error)
    except web.HTTPException as exc:
        response = _refusal(request, _of_http(request, exc))
    except Exception:
        response = _refusal(request, internal(request_id))
    if not isinstance(response, Direct):  # what aiohttp sends would name its version
        response.headers.update({"x-request-id": request_id, "server": "coo-llm"})
    if cors.enabled:
        allow_origin(request, response, cors)
    return response


@web.middleware
async def authentication(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find the client of a request to the client API. What matches no route is told so without a key."""
    if request.path.startswith(_CLIENT_PATHS) and request.match_info.http_exception is None:
        request[CLIENT] = authenticate(request)
    return await handler(request)


def _refusal(request: web.Request, error: ApiError) -> web.StreamResponse:
    request.app[LIVE].metrics.error("none", error.code)
    dialect = dialect_at(request.path)
    lines = line("x-request-id", request[REQUEST_ID])
    if dialect.id_header is not None:
        lines += line(dialect.id_header, request[REQUEST_ID])
    return error_response(request, error, dialect, lines)


def _of_http(request: web.Request, exc: web.HTTPException) -> ApiError:
    if isinstance(exc, web.HTTPMethodNotAllowed):
        error = ApiError("method_not_allowed", f"{quoted(request.path)} does not take {exc.method}.")
        error.headers["allow"] = ", ".join(sorted(exc.allowed_methods))
        return error
    if isinstance(exc, web.HTTPRequestEntityTooLarge):
        return ApiError("request_too_large", "The body is too large.")
    if exc.status == 404:
        return ApiError("unknown_url", f"There is nothing at {request.method} {quoted(request.path)}.")
    return ApiError("invalid_request", exc.reason, status=exc.status)
