"""Hashes of passwords: made, and checked where that takes nothing from requests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MARK = "$argon2"
"""What every hash begins with."""
WAITING = 4
"""Passwords that are being checked or wait for it: anybody may send some, and each costs memory and time."""
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""The parameters that OWASP recommends where logins must not cost the server much."""
_NICENESS = 10
"""How much nicer than the event loop the thread is in which they are checked, and with it those that a hash
with more parallelism asks for."""


class TooMany(Exception):
    """So many passwords wait to be checked that one more is not taken."""


def hashed(password: str) -> str:
    """The hash of a password, with a new salt."""
    return _HASHER.hash(password)


def matches(hash_: str, given: str) -> bool:
    """Whether the hash, with whatever parameters, is that of the given password. It takes its time."""
    try:
        return _HASHER.verify(hash_, given)
    except (VerificationError, InvalidHashError):
        return False


class PasswordChecks:
    """One check after the other, in a thread of their own, which the event loop takes a core from at any
    time; what else is done in threads does not stand in line behind them."""

    def __init__(self, matches: Callable[[str, str], bool] = matches) -> None:
        self._matches = matches
        self._thread = ThreadPoolExecutor(1, "password", _give_way)
        self._waiting = 0

    async def check(self, hash_: str, given: str) -> bool:
        """Whether the hash is that of the given password. Raises `TooMany`, at once."""
        if self._waiting >= WAITING:
            raise TooMany
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._matches, hash_, given)
        finally:
            self._waiting -= 1


def _give_way() -> None:
    with suppress(OSError):  # a sandbox that lets no thread do so
        os.nice(_NICENESS)  # of this thread alone: on Linux each has its own
