"""What this version accepts and does not act on: named in one warning at start."""

from __future__ import annotations

from gateway.config.checks import PLANNED_ALGORITHMS, PLANNED_STORES
from gateway.config.schema import Config
from gateway.config.section import Section

_UNSERVED = (
    "server.trusted_proxies",
    "server.admin_rate_limit",
    "server.max_upload_mb",
    "server.webui",
    "logging.content",
    "logging.audit",
    "storage.journal",
    "storage.retention",
    "storage.on_trouble",
    "storage.master_key",
)
"""Named where they are set, to whatever."""


def unserved(config: Config) -> list[str]:
    """Each setting of ``config`` that this version does not serve yet, in words."""
    policy, storage = config.policy, config.storage
    budgets = [client.id for client in config.api_keys or () if client.budget.usd]
    words = {
        "server.workers (one process serves)": config.server.workers != 1,
        f"storage.config.type {storage.config.type} (it is kept in memory)": _planned(storage.config.type),
        f"storage.runtime.type {storage.runtime.type} (it is kept in memory)": _planned(storage.runtime.type),
        "policy.cache.enabled": policy.cache.enabled,
        "policy.affinity.enabled": policy.affinity.enabled,
        f"policy.algorithm {policy.algorithm}": policy.algorithm in PLANNED_ALGORITHMS,
        f"api_keys: the budget of {', '.join(budgets)}": bool(budgets),
    }
    words |= {path: _is_set(config, path) for path in _UNSERVED}
    return [what for what, asked in words.items() if asked]


def _planned(store: str) -> bool:
    return store in PLANNED_STORES - {"memory"}


def _is_set(config: Config, path: str) -> bool:
    section: Section = config
    *outer, last = path.split(".")
    for name in outer:
        section = getattr(section, name)
    return last in section.model_fields_set
