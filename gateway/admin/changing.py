"""Changing the configuration: the document is written, then this process takes it over at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from gateway.admin.errors import AdminError
from gateway.admin.state import AdminState
from gateway.config.client_edit import pruned
from gateway.config.managed import Managed, serialise
from gateway.config.problems import ConfigError
from gateway.reload import Reloaded, told
from gateway.runtime import Live
from gateway.vault import NoMasterKey

Note = Callable[[str], None]
"""Takes the path of each thing that was changed, for the audit log: ``partial(note_change, request)``."""


async def apply(
    state: AdminState,
    change: Callable[[Managed], Managed],
    *,
    invalid: int = 422,
    revision: str | None = None,
) -> Reloaded:
    """Make a change, in force here when this returns and everywhere within a second.

    Raises `AdminError`: with the status ``invalid`` where the configuration would not be valid, 409 for a
    secret that cannot be kept, 412 where ``revision`` is given and not that of what is to be changed; and
    `StoreUnavailable`. Nothing is changed then.
    """

    def changed(managed: Managed) -> Managed:
        if revision is not None and revision != revision_of(state.live, managed):
            raise AdminError(412, "Somebody else has changed the configuration in the meantime: look again.")
        return change(pruned(managed, time.time()))

    try:
        await state.live.managed.update(changed)
    except ConfigError as error:
        raise AdminError(invalid, "This is not valid.", details=told(error.errors)) from None
    except NoMasterKey as error:
        raise AdminError(409, f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    return await state.reloader.reload("admin API")


def revision_of(live: Live, managed: Managed) -> str:
    """Names what a change is made to, the file as it was valid last and the document ``managed``: another
    name once either has changed."""
    return sha256(live.managed.file.digest + serialise(managed)).hexdigest()[:16]


def outcome(state: AdminState, result: Reloaded) -> dict[str, Any]:
    """What came of a change of settings. ``errors``: why the reload after it did not work."""
    body: dict[str, Any] = {
        "status": "ok",
        "reloaded": result.changed,
        "restart_required": result.restart_required,
        "config_version": state.live.current.version,
    }
    return {**body, "errors": result.errors} if result.errors else body
