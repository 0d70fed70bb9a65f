"""Calls of the admin API in tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.daemon.running import ADMIN, ADMIN_KEY, Gateway, configured

PROVIDER_KEYS = ("canary-of-the-first-key", "canary-of-the-second-key")
ECHO = {
    "id": "up",
    "type": "echo",
    "model": "m",
    "api_keys": [{"id": "first", "key": PROVIDER_KEYS[0]}, {"id": "second", "key": PROVIDER_KEYS[1]}],
    "pricing": {"input_token_cost": 0.002, "output_token_cost": 0.01},
}


def administered(*providers: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """A configuration with an admin key, in front of ``providers`` or an `ECHO`."""
    server = {"admin_api_key": ADMIN_KEY, **sections.pop("server", {})}
    return configured(*(providers or (ECHO,)), server=server, **sections)


def audited(folder: Path) -> dict[str, Any]:
    """The logging section that writes an audit log, ``audit.log`` in ``folder``."""
    return {"file": {"enabled": False}, "audit": {"enabled": True, "path": str(folder / "audit.log")}}


async def call(
    gateway: Gateway,
    route: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    **named: str | float,
) -> tuple[int, Any]:
    """Status and JSON of a call such as ``POST /route``, below ``/admin/v1``, by default with the key.

    ``named`` are further query parameters.
    """
    method, path = route.split(" ")
    async with gateway.session.request(
        method,
        f"{gateway.url}/admin/v1{path}",
        json=body,
        params={**(query or {}), **named},
        headers=ADMIN if headers is None else headers,
    ) as response:
        assert response.content_type == "application/json"
        text = await response.text()
        assert "canary" not in text
        assert ADMIN_KEY not in text
        return response.status, await response.json()
