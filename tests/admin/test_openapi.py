"""The OpenAPI document: valid, complete both ways, and true of what the API answers to whatever is asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.admin.api import ROUTES
from gateway.admin.openapi import document
from tests.daemon.running import ADMIN, ADMIN_KEY, configured, running

DOCUMENT: dict[str, Any] = orjson.loads(document())
METHODS = frozenset({"get", "post", "put", "delete"})
ENDLESS = "/admin/v1/requests/stream"
PROVIDER = {
    "id": "up",
    "type": "echo",
    "model": "m",
    "api_keys": [{"id": "first", "key": "canary-of-a-provider-key"}],
    "pricing": {"input_token_cost": 0.002, "output_token_cost": 0.01},
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_in_it_and_nothing_else() -> None:
    served = {(route.method.lower(), "/admin" + re.sub(r":.+}", "}", route.path)) for route in ROUTES}
    described = {
        (method, path) for path, item in DOCUMENT["paths"].items() for method in METHODS & item.keys()
    }
    assert served == described


def test_operation_ids_are_unique() -> None:
    ids = [
        item[method]["operationId"] for item in DOCUMENT["paths"].values() for method in METHODS & item.keys()
    ]
    assert len(ids) == len(set(ids))


KNOWN = {
    "/admin/v1/metrics/clients/{id}": "one",
    "/admin/v1/clients/{id}": "one",
    "/admin/v1/clients/{id}/rotate": "one",
}
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [
    (method, path)
    for path, item in DOCUMENT["paths"].items()
    for method in sorted(METHODS & item.keys())
    if path != ENDLESS
]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
async def test_whatever_is_asked(mode: GenerationMode, tmp_path: Path) -> None:
    config = configured(PROVIDER, server={"admin_api_key": ADMIN_KEY, "admin_rate_limit": 0})
    async with running(config, tmp_path) as gateway:
        assert (await gateway.ask())[0] == 200
        (record,) = await gateway.records(1)
        for method, path in OPERATIONS:
            there = {"id": KNOWN.get(path, "up"), "key": "first", "path": "policy/retry"}
            if path == "/admin/v1/requests/{id}":
                there["id"] = record.id
            await asyncio.to_thread(exercise, SCHEMA[path][method.upper()], mode, gateway.url, there)


def exercise(operation: Any, mode: GenerationMode, url: str, there: Mapping[str, str]) -> None:
    """Call ``operation`` with what its description allows, or does not, always the same; every other time
    on something that is ``there``."""

    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    @settings(
        max_examples=16,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def probe(case: Any, known: bool) -> None:
        if known:
            case.path_parameters = {name: there[name] for name in case.path_parameters}
        response = case.call(base_url=url, headers=ADMIN)
        case.validate_response(response, checks=CHECKS)
        assert "canary" not in response.text
        assert ADMIN_KEY not in response.text

    probe()
