"""What is valid but wants a second look."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from gateway.config.masked import is_secret
from gateway.config.problems import Path, render
from gateway.config.schema import Config
from gateway.config.schema_logging import Logging
from gateway.config.schema_policy import AFFINE
from gateway.config.section import PluginSection, Section

_MIN_ADMIN_KEY = 16


def warnings(config: Config) -> Iterator[str]:
    """What will work, though perhaps not as meant."""
    key = config.server.admin_api_key
    if key is not None and len(key.get_secret_value()) < _MIN_ADMIN_KEY:
        yield f"server.admin_api_key: is weak: use at least {_MIN_ADMIN_KEY} characters"
    if config.server.cors.allow_credentials and "*" in config.server.cors.allowed_origins:
        yield "server.cors: allow_credentials has no effect for the origin *; name the origins"
    for i, provider in enumerate(config.llm_providers):
        for j, given in enumerate(provider.api_keys):
            if given in provider.api_keys[:j]:
                path = render(("llm_providers", i, "api_keys", j))
                yield f"{path}: is the same as an earlier key of this provider; it counts once"
    if config.logging.content:
        places = ", ".join(_request_logs(config.logging))
        yield f"logging.content: prompts and answers are written to {places}"
    if config.policy.affinity.enabled and config.policy.algorithm not in AFFINE:
        others = " and ".join(AFFINE)
        yield f"policy.affinity: has no effect with {config.policy.algorithm}, only with {others}"
    served = {name for provider in config.llm_providers for name in (provider.id, provider.type)}
    for alias, targets in config.model_aliases.items():
        for target in targets:
            if (name := target.target.partition(":")[0]) not in served:
                path = render(("model_aliases", alias))
                yield f'{path}: there is no provider "{name}"; its answer will be 404'


def _request_logs(logging: Logging) -> Iterator[str]:
    """Where request lines go."""
    yield logging.file.path if logging.file.enabled else "stderr"
    for sink in logging.providers:
        yield f"the sink {sink.name}"


def own_secrets(config: Config) -> list[str]:
    """The secrets that the gateway holds itself; not its clients' keys, which may be many."""
    own = config.model_copy(update={"api_keys": None})
    return list(dict.fromkeys(secret.get_secret_value() for _, secret in _secrets(own, ())))


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
        own = value.settings if isinstance(value, PluginSection) else {}
        for name, setting in own.items():
            if isinstance(setting, str) and is_secret((name,)):
                yield (*path, name), SecretStr(setting)
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _secrets(item, (*path, i))
