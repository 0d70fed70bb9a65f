"""Forms as browsers send them."""

from __future__ import annotations

from urllib.parse import parse_qsl

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from gateway.admin.body import MAX_BYTES
from gateway.admin.errors import AdminError
from gateway.request.accept import read_body

MAX_FIELDS = 1000
CSRF_FIELD = "csrf"

Form = MultiDictProxy[str]
FORM: web.RequestKey[Form] = web.RequestKey("gateway.admin.form", MultiDictProxy)
"""The form that a page's POST brings, without its token."""

_TYPE = "application/x-www-form-urlencoded"


def is_form(request: web.Request) -> bool:
    """Whether the body is a form's."""
    return request.content_type == _TYPE


async def read_form(request: web.Request) -> MultiDict[str]:
    """All fields. Raises `AdminError` 400 or 415, `ApiError` as for any body."""
    if not is_form(request):
        raise AdminError(415, f"Send the form as {_TYPE}.")
    body = await read_body(request, MAX_BYTES)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise AdminError(400, f"The form is not UTF-8, or has more than {MAX_FIELDS} fields.") from None
    return MultiDict(fields)
