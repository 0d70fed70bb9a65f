"""How often one address may call the admin API: sliding windows, one for keys and one for sessions."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

WINDOW = 60.0
MAX_ADDRESSES = 4096
"""Addresses whose calls are remembered; the ones that were silent longest go first."""
SESSION_CALLS = 1200
"""Calls a minute and address with a session: a dashboard asks often, and a session cannot be guessed."""


class CallRate:
    """Counts calls exactly: in no `WINDOW` seconds are more admitted than the limit. ``clock``: monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, address: str, limit: int) -> float:
        """Count a call: 0, or the seconds until one would be admitted. ``limit`` 0: always."""
        if not limit:
            return 0.0
        now = self._clock()
        calls = self._of(_place(address))
        while calls and calls[0] <= now - WINDOW:
            calls.popleft()
        if len(calls) >= limit:
            return calls[len(calls) - limit] + WINDOW - now
        calls.append(now)
        return 0.0

    def give_back(self, address: str) -> None:
        """The last call counted was one that does not count after all."""
        calls = self._of(_place(address))
        if calls:
            calls.pop()

    def _of(self, place: str) -> deque[float]:
        calls = self._calls.pop(place, None)
        if calls is None:
            calls = deque()
            if len(self._calls) >= MAX_ADDRESSES:
                self._calls.popitem(last=False)
        self._calls[place] = calls
        return calls


def _place(address: str) -> str:
    """One household has as many IPv6 addresses as it likes: they count as one network."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address
