"""Stores that ask servers, in a `ManualLoop` or in real time: no answer comes too late."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest

from gateway.api.testing.loop import ManualLoop
from gateway_stores.windows import leases


def wait_for_answers(patch: pytest.MonkeyPatch, link: type, method: str) -> None:
    """For tests of what is answered, not of when; ``method`` of ``link`` is what asks a server."""
    patch.setattr(leases, "PATIENCE", 60.0)
    ask = getattr(link, method)

    async def asking(*args: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        with loop.asking() if isinstance(loop, ManualLoop) else nullcontext():
            return await ask(*args, **options)

    patch.setattr(link, method, asking)
