"""What may be shown of a configuration."""

from __future__ import annotations

import json

from gateway.config.masked import mask, masked, revealed
from tests.config.conftest import Load

SECRETS = {
    "ADMIN": "admin-canary-0123456789",
    "KEY": "sk-canary-0123456789",
    "HOOK": "hook-canary-0123456789",
    "TOKEN": "Bearer canary-0123456789",
    "REDIS": "canary",
}
TEXT = """
server: {admin_api_key: "${ADMIN}", webui: {admin_password: canary}}
logging:
  providers:
    - {type: webhook, endpoint: "https://me:canary@example.com/x", sign: "${HOOK}",
       access_token: canary-literal-token}
storage: {runtime: {type: redis, addr: "redis://:canary@localhost", password: "${REDIS}"}}
llm_providers:
  - {type: openai, api_keys: ["${KEY}", sk-canary-abcdefghij], headers: {Authorization: "${TOKEN}"},
     organization: acme, pricing: {input_token_cost: 0.002}}
api_keys: [{key: canary-client-0123456789}]
"""


def test_nothing_secret_is_shown(load: Load) -> None:
    config = load(TEXT, SECRETS).config
    shown = json.dumps(masked(config), ensure_ascii=False)
    assert "canary" not in shown
    assert "canary" not in repr(config)
    assert "acme" in shown


def test_the_values_are_json_values_under_their_names(load: Load) -> None:
    shown = masked(load(TEXT, SECRETS).config)
    assert shown["llm_providers"][0]["api_keys"][0]["key"] == "sk-…6789"
    assert shown["llm_providers"][0]["pricing"]["input_token_cost"] == 0.002
    assert shown["llm_providers"][0]["organization"] == "acme"
    assert (
        shown["storage"]["runtime"] | {"addr": "redis://…@localhost", "password": "…"}
        == shown["storage"]["runtime"]
    )
    assert shown["server"]["drain_timeout"] == 30


def test_revealed_has_it_all(load: Load) -> None:
    assert revealed(load(TEXT, SECRETS).config)["server"]["admin_api_key"] == SECRETS["ADMIN"]


def test_mask() -> None:
    assert mask("sk-0123456789abcdef") == "sk-…cdef"
    assert mask("short") == "…"
