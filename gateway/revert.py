"""Taking back what was set through the admin API, for whom an address or an admin key keeps out of it."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from gateway.build import build_managed
from gateway.config import client_edit
from gateway.config.managed import Managed, parse
from gateway.config.overlay import without
from gateway.config.problems import Problem, opening, render
from gateway.config.read import Loaded, read
from gateway.config.roster import of_file
from gateway.config.schema import Server
from gateway.config.tree import CLIENTS, indexed, leaves
from gateway.instances import installed
from gateway.managed import ManagedConfig
from gateway.registry import Registry

_ADDRESSES = ("listen", "admin_listen")


async def settings(path: str, registry: Registry) -> Sequence[str]:
    """The paths of all that is set on top of the file at ``path``; one for each client of the file that was
    changed. Raises as `revert`."""
    async with _opened(path, registry) as managed:
        found = parse((await managed.store.read()).data)
        changed = of_file(found, managed.file.clients)
    paths = [*leaves(indexed(found.overlay)), *((*CLIENTS, id_) for id_ in changed)]
    return [render(path) for path in paths if path]


async def revert(path: str, setting: str, registry: Registry) -> Sequence[Problem]:
    """Take back ``setting``, and all that lies in it, of what is on top of the file at ``path``. What did not
    fit before may not fit then either: why is returned.

    Raises `KeyError` if nothing is set there, `ConfigError` if the rest would not be valid, `OSError` where
    ``storage.config`` cannot be used.
    """
    async with _opened(path, registry) as managed:
        await managed.update(partial(_reverted, setting, managed.file))
        return (await managed.load(again=False)).refused


def _reverted(setting: str, file: Loaded, managed: Managed) -> Managed:
    for id_ in of_file(managed, file.clients):
        if setting in _names(id_):
            return client_edit.revert(managed, id_)
    return replace(managed, overlay=without(managed.overlay, setting)[0])


def _names(client: str) -> set[str]:
    """What a client of the file is called on the command line."""
    (section,) = CLIENTS
    return {render((section, client)), f"{section}.{client}", f"{section}/{client}"}


@asynccontextmanager
async def _opened(path: str, registry: Registry) -> AsyncIterator[ManagedConfig]:
    file = read(path, known=installed(registry))
    managed = build_managed(file, lambda: file, registry)
    with opening("storage.config"):
        await managed.store.open()
    try:
        yield managed
    finally:
        await managed.store.close()


def advice(path: str, file: Server, effective: Server, address: str) -> str:
    """How to mend it, if an ``address`` that cannot be bound is not the file's own; else nothing."""
    for name in _ADDRESSES:
        if address == getattr(effective, name) != getattr(file, name):
            own = getattr(file, name) or "none"
            return (
                f"\nserver.{name} was set through the admin API; the file says {own}."
                f"\nTo take it back: coo-llm revert {shlex.quote(path)} server.{name}"
            )
    return ""
