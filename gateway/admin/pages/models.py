"""Models and aliases: who serves what at which price, and what is amiss with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from aiohttp import web

from gateway.admin import models
from gateway.admin.pages import routing
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.show import shown
from gateway.admin.query import Query
from gateway.admin.state import ADMIN
from gateway.catalog import Catalog

MOST = 500
"""Rows of a table; a search finds the others."""

Json = Mapping[str, Any]


class Span(NamedTuple):
    """What tokens of a class cost with several keys, in US dollars per 1,000; None where none is known."""

    low: Decimal | None
    high: Decimal | None
    unknown: bool
    """There is a key whose price is not known."""


async def listing(request: web.Request) -> Page:
    """What the configuration lists, as far as it has what is searched for in a name."""
    query, state = Query(request, "q"), request.app[ADMIN]
    catalog = state.live.current.catalog
    text, names = query.text("q") or "", models.listing(state)
    aliases = [name for name in names if name["kind"] == "alias"]
    served = list(_served(names, aliases))
    found = _found(text, aliases, ("name", "targets"))
    values = {
        "q": text,
        "served": _found(text, served, ("model", "provider", "aliases")),
        "aliases": [_priced(catalog, alias) for alias in found[:MOST]],
        "exist": bool(served),
        "most": MOST,
        "unpriced": [f"{one['provider']}:{one['model']}" for one in served if one["prices"] is None],
        "astray": [(alias["name"], lost) for alias in aliases if (lost := _lost(alias))],
        "algorithm": state.live.current.config.policy.algorithm,
    }
    return Page("models.html", values)


def _served(names: Sequence[Json], aliases: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """Each model of each provider, with the aliases that lead to it."""
    called: dict[tuple[str, str], list[str]] = {}
    for alias in aliases:
        for one in alias["serves"]:
            called.setdefault((one["provider"], one["model"]), []).append(alias["name"])
    for name in names:
        if name["kind"] == "address":
            for one in name["serves"]:
                yield {**one, "aliases": called.get((one["provider"], one["model"]), [])}


def _priced(catalog: Catalog, alias: Json) -> Json:
    """With what each of its targets costs at those whom it names: a type may name several providers."""
    prices: dict[tuple[str, str], list[Json | None]] = {}
    for one in alias["serves"]:
        prices.setdefault((one["provider"], one["model"]), []).append(one["prices"])
    targets = []
    for target in alias["targets"]:
        there = [price for place in catalog.named(target["target"]) for price in prices.get(place, ())]
        targets.append({**target, "input": _span(there, "input"), "output": _span(there, "output")})
    return {**alias, "targets": targets}


def _span(prices: Sequence[Json | None], name: str) -> Span:
    known = [price[name] for price in prices if price is not None and price[name] is not None]
    return Span(min(known, default=None), max(known, default=None), unknown=None in prices)


def _lost(alias: Json) -> list[str]:
    """Its targets that no provider is called by."""
    return [one["target"] for one in alias["targets"] if not one["known"]]


def _found(text: str, things: Sequence[Json], fields: Sequence[str]) -> list[Json]:
    wanted = text.casefold()
    return [one for one in things if any(wanted in word.casefold() for word in _words(one, fields))]


def _words(thing: Json, fields: Iterable[str]) -> Iterator[str]:
    for field in fields:
        value = thing[field]
        if isinstance(value, str):
            yield value
        else:
            yield from (one if isinstance(one, str) else one["target"] for one in value)


section = Section("Models", "/models", (web.get("/models", shown(listing)), *routing.routes))
