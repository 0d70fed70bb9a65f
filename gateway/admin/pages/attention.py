"""What needs an operator's attention, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.admin.pages.figures import duration, name, share
from gateway.api import Total

NEAR = 0.8
"""The used share of a window from which on it is nearly full."""
MANY_ERRORS = 0.05
_ENOUGH = 20
"""Requests without which a share of errors says nothing."""
_NAMED = 3

Json = Mapping[str, Any]
Level = Literal["bad", "warn", "note"]
_LEVELS: tuple[Level, ...] = ("bad", "warn", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    level: Level
    title: str
    advice: str
    section: str | None = None
    """Where it can be mended: a section of the dashboard."""
    query: str = ""
    """What to add to that section's address."""


def findings(
    health: Json, services: Sequence[Json], recent: Total | None, unpriced: Sequence[str]
) -> list[Finding]:
    """Everything, the gravest first. ``recent``: what the last minutes' requests come to,
    None if the store does not say; ``unpriced``: models that were used at an unknown price."""
    found = [
        *_gateway(health),
        *_traffic(recent),
        *(finding for service in services for finding in _service(service)),
        *_prices(unpriced),
    ]
    return sorted(found, key=lambda finding: _LEVELS.index(finding.level))


def _gateway(health: Json) -> Iterator[Finding]:
    if health["draining"]:
        yield Finding(
            "warn", "This process is stopping", "It takes no new requests and ends with the last one."
        )
    for problem in health["config"]["reload_errors"]:
        path = f"{problem['path']}: " if problem["path"] else ""
        yield Finding(
            "bad",
            "The newest configuration is not in effect",
            f"The gateway goes on with the last good one until this is mended: {path}{problem['message']}",
            "Configuration",
        )
    if waiting := health["config"]["restart_required"]:
        yield Finding("warn", "Settings wait for a restart", f"Restart the gateway for {_some(waiting)}.")
    for part in health["dependencies"]:
        if part["status"] != "ok":
            yield Finding("bad", f"{part['name']} ({part['type']}) is in trouble", part["message"])
    if health["anonymous_access"] == "everyone":
        yield Finding(
            "bad",
            "Anybody who reaches the gateway may use it",
            "Give each client a key, and set server.allow_anonymous to false.",
            "Clients",
        )
    elif health["anonymous_access"] != "nobody":
        yield Finding(
            "note",
            "Programs on this machine need no key",
            "That ends with the first client: create one to serve other machines.",
            "Clients",
        )


def _traffic(recent: Total | None) -> Iterator[Finding]:
    if recent is None:
        yield Finding(
            "bad", "The store does not answer in time", "Figures are missing: look at storage.runtime."
        )
    elif recent.requests >= _ENOUGH and recent.errors / recent.requests > MANY_ERRORS:
        failed = f"{share(recent.errors / recent.requests)} of requests failed in the last 5 minutes"
        yield Finding(
            "bad", failed, "Look at the failed ones, and at which provider they went to.", "Requests"
        )


def _prices(models: Sequence[str]) -> Iterator[Finding]:
    if models:
        advice = f"Their cost is missing in every sum: set a pricing for {_some(models)}."
        yield Finding("warn", "Models were used at an unknown price", advice, "Models")


def _service(service: Json) -> Iterator[Finding]:
    keys: Sequence[Json] = service["keys"]
    at = {"section": "Providers", "query": f"/{service['id']}"}
    for state, title, advice in _STATES:
        of_it = [key for key in keys if _state(key) == state]
        if of_it:
            usable = any(key["state"] == "active" for key in keys)
            level: Level = "bad" if not usable else "note" if state == "off" else "warn"
            yield Finding(
                level,
                f"{name(service['id'])}: {_so_many(of_it, keys)} {title}",
                f"{_why(of_it)}{advice}",
                **at,
            )
    if full := [key for key in keys if key["state"] == "active" and _nearly_full(key)]:
        title = f"{name(service['id'])}: {_so_many(full, keys)} near a limit"
        windows = _some([_nearly_full(key) for key in full])
        yield Finding("warn", title, f"{windows}. Raise the limits, or add a key.", **at)


_STATES = (
    (
        "disabled",
        "rejected by the upstream",
        "It is tried again by itself. Check the key and its account, then reset it or replace it.",
    ),
    (
        "open",
        "kept out by an open circuit",
        "Too many requests failed. It is tried again by itself; or reset it.",
    ),
    ("cooling", "cooling down", "The upstream asked for a pause. It comes back by itself; or reset it."),
    ("limited", "at a limit", "A window is full and empties by itself. Raise the limits, or add a key."),
    ("off", "switched off", "An operator did that: enable it when it is wanted again."),
)


def _state(key: Json) -> str:
    return "off" if key["switched_off"] else str(key["state"])


def _so_many(keys: Sequence[Json], all: Sequence[Json]) -> str:
    return "the key is" if len(all) == 1 else f"{len(keys)} of {len(all)} keys"


def _why(keys: Iterable[Json]) -> str:
    """The longest pause and the last error of some keys, in words."""
    pause = max((key["cooled_seconds"] for key in keys), default=0)
    error = next((key["last_error"] for key in keys if key["last_error"]), None)
    return (f"For {duration(pause)} yet. " if pause else "") + (
        f"Last error: {name(error, 200).rstrip('.')}. " if error else ""
    )


def _nearly_full(key: Json) -> str:
    """The window that is, in words; empty if none is."""
    kind, used = fullest(key) or ("", 0.0)
    return f"{name(key['id'])}: {kind} {share(used)}" if used >= NEAR else ""


def fullest(key: Json) -> tuple[str, float] | None:
    """The kind and the used share of the window that has least room; None for a key without limits."""
    shares = [
        (kind, window["used"] / window["limit"]) for kind, window in key["windows"].items() if window["limit"]
    ]
    return max(shares, key=lambda pair: pair[1], default=None)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name(one) for one in names[:_NAMED]) + more
