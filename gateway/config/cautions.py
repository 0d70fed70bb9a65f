"""What is valid but wants a second look: warnings, and settings that are accepted but not served yet."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from gateway.config.checks import PLANNED_ALGORITHMS, PLANNED_STORES
from gateway.config.listen import Inherited, parse
from gateway.config.problems import Path, render
from gateway.config.schema import Config
from gateway.config.section import Section

_MIN_ADMIN_KEY = 16


def warnings(config: Config) -> Iterator[str]:
    """What will work, though perhaps not as meant."""
    key = config.server.admin_api_key
    if key is not None and len(key.get_secret_value()) < _MIN_ADMIN_KEY:
        yield f"server.admin_api_key: is weak: use at least {_MIN_ADMIN_KEY} characters"
    if config.server.cors.allow_credentials and "*" in config.server.cors.allowed_origins:
        yield "server.cors: allow_credentials has no effect for the origin *; name the origins"
    served = {name for provider in config.llm_providers for name in (provider.id, provider.type)}
    for alias, targets in config.model_aliases.items():
        for target in targets:
            if (name := target.target.partition(":")[0]) not in served:
                path = render(("model_aliases", alias))
                yield f'{path}: there is no provider "{name}"; its answer will be 404'


def literal_secrets(config: Config, text: str) -> list[str]:
    """The paths of the secrets that stand in the file itself."""
    return [
        render(path)
        for path, secret in _secrets(config, ())
        if (key := secret.get_secret_value()) and key in text
    ]


def _secrets(value: object, path: Path) -> Iterator[tuple[Path, SecretStr]]:
    if isinstance(value, SecretStr):
        yield path, value
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name), (*path, name))
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _secrets(item, (*path, i))


def unserved(config: Config) -> list[str]:
    """Each setting that this version accepts and does not act on, in words."""
    server, policy = config.server, config.policy
    addresses = {"listen": server.listen, "admin_listen": server.admin_listen}
    budgets = [client.id for client in config.api_keys or () if client.budget.usd]
    words = {
        "server.workers (one process serves)": server.workers != 1,
        "server.webui": server.webui.enabled and "webui" in server.model_fields_set,
        "policy.cache.enabled": policy.cache.enabled,
        "policy.affinity.enabled": policy.affinity.enabled,
        f"policy.algorithm {policy.algorithm}": policy.algorithm in PLANNED_ALGORITHMS,
        f"api_keys: budget of {', '.join(budgets)}": bool(budgets),
    }
    words |= {
        f"server.{name} fd://": address is not None and isinstance(parse(address), Inherited)
        for name, address in addresses.items()
    }
    words |= {
        f"storage.{name}.type {store.type} (it runs in memory)": store.type in PLANNED_STORES - {"memory"}
        for name, store in (("config", config.storage.config), ("runtime", config.storage.runtime))
    }
    return [what for what, asked in words.items() if asked]
