"""The way to Redis: scripts run where their keys are, in one round trip a node, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from math import inf
from pathlib import Path
from typing import Any

from redis.asyncio.connection import BlockingConnectionPool, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as LostConnection

from gateway.api import StoreUnavailable
from gateway_stores.redis_address import Address, Host

PROMPT = 0.25
"""Seconds within which an answer is of use to somebody who waits for it."""
_PASSES = 4
"""How often a call is sent on to where it belongs. A call that was sent on was not executed."""
_MAX_CONNECTIONS = 64
_RIGHTS = "+@read +@write +@scripting +time +type"

Command = tuple[Any, ...]


class Script:
    """A Lua file beside this module. It touches its one key, or those that begin with it: ``beside`` is how
    one of these goes on, and the key itself is never there.

    While a hash slot moves from one server of a cluster to another, each has some of its keys. A call with
    one key that is missing is sent to the new server, though the keys that the script touches be still with
    the old one. Of two keys, one is always missing: then both servers say to try again later
    (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/, multiple keys operations).
    """

    def __init__(self, name: str, beside: str | None = None) -> None:
        self.beside = beside
        self.text = Path(__file__).with_name(name).read_bytes()
        self.digest = sha1(self.text, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Call:
    """A script to be run."""

    script: Script
    key: str
    args: tuple[str | bytes | int, ...]

    def command(self) -> Command:
        keys = [self.key] if self.script.beside is None else [self.key, self.key + self.script.beside]
        return ("EVALSHA", self.script.digest, len(keys), *keys, *self.args)


class _VerifiedConnection(SSLConnection):
    """By TLS. The certificates that it trusts may be others than when it was last connected."""

    async def connect(self) -> None:
        if not self.is_connected:
            self.ssl_context.context = None
        await super().connect()  # type: ignore[no-untyped-call]


class Link:
    """Connections to whatever servers an `Address` stands for. Only hosts that it names are ever
    connected to, or those that its sentinels or its cluster name. All keys begin with ``{prefix:``."""

    def __init__(self, address: Address, timeout: float, prefix: str) -> None:
        self._address = address
        self._timeout = timeout
        self._ours = f"{{{prefix}:"
        self._pools: dict[Host, Any] = {}
        self._places: list[tuple[int, Host]] | None = None
        """Which host has the hash slots up to which; None: nobody knows."""

    async def run(self, calls: Sequence[Call], within: float | None = None) -> list[Any]:
        """The replies to ``calls``. Each is executed once, or not at all where it raises, or perhaps.
        Raises `StoreUnavailable`, after ``within`` seconds at the latest; `inf`: the caller gives up."""
        limit = None if within == inf else min(within or self._timeout, self._timeout)
        try:
            async with asyncio.timeout(limit):
                return await self._run(calls)
        except asyncio.CancelledError:
            self._places = None  # who gave up sooner may have waited for one that hangs and was replaced
            raise
        except (RedisError, OSError) as exc:
            raise self._unavailable(exc) from None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Where replies are read. Raises `StoreUnavailable` if one is not of our scripts' form."""
        try:
            with _reading():
                yield
        except InvalidResponse as exc:
            raise self._unavailable(exc) from None

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()

    async def _run(self, calls: Sequence[Call]) -> list[Any]:
        replies: list[Any] = [None] * len(calls)
        todo = list(range(len(calls)))
        for _ in range(_PASSES):
            await self._pass(calls, todo, replies)
            todo = [index for index in todo if self._goes_on(replies[index])]
            if not todo:
                break
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, ResponseError):
                raise self._placed(call, reply)
        return replies

    def _placed(self, call: Call, reply: ResponseError) -> ResponseError:
        """What a server says of a key without its name, with it; a client's is not told."""
        if not str(reply).startswith("WRONGTYPE"):
            return reply
        part, colon, _ = call.key.removeprefix(self._ours).partition(":")
        where = f"{self._ours}{part}{colon}*"
        return ResponseError(f"has something else at {where}: delete that, or set another prefix in storage")

    def _goes_on(self, reply: Any) -> bool:
        """Whether a call was not executed, only because of where it was sent or what was missing there."""
        sent_on = isinstance(reply, AskError) and self._address.topology == "cluster"
        return sent_on or isinstance(reply, NoScriptError)

    async def _pass(self, calls: Sequence[Call], todo: Sequence[int], replies: list[Any]) -> None:
        """Send the calls ``todo`` to where they belong as far as is known."""
        places = self._places
        if places is None or any(type(replies[index]) is MovedError for index in todo):
            places = self._places = await self._find()
        parts: dict[Host, list[int]] = {}
        for index in todo:
            reply = replies[index]
            if type(reply) is AskError:
                host = reply.node_addr
            elif len(places) == 1:
                host = places[0][1]
            else:
                slot = key_slot(calls[index].key.encode())
                host = next(host for last, host in places if slot <= last)
            parts.setdefault(host, []).append(index)
        if len(parts) == 1:
            [(host, indexes)] = parts.items()
            await self._send(host, calls, indexes, replies)
        else:
            await _all(self._send(host, calls, indexes, replies) for host, indexes in parts.items())

    async def _send(self, host: Host, calls: Sequence[Call], todo: list[int], replies: list[Any]) -> None:
        commands: list[Command] = []
        positions: list[int] = []
        for index in todo:
            if isinstance(replies[index], NoScriptError | AskError):
                commands.append(("SCRIPT", "LOAD", calls[index].script.text))
            if type(replies[index]) is AskError:
                commands.append(("ASKING",))
            positions.append(len(commands))
            commands.append(calls[index].command())
        answers = await self._exchange(self._pool(host), commands)
        for index, position in zip(todo, positions, strict=True):
            replies[index] = answers[position]

    async def _find(self) -> list[tuple[int, Host]]:
        """Which host has which slots, by the word of whoever is asked and answers first."""
        address = self._address
        if address.topology == "single":
            return [(16383, address.hosts[0])]
        known = dict.fromkeys(address.hosts)
        if address.topology == "cluster":
            known |= dict.fromkeys(self._pools)
        tries = [asyncio.ensure_future(self._ask(host)) for host in known]
        failure: BaseException = ResponseError("nobody answers")
        try:
            for answered in asyncio.as_completed(tries):
                try:
                    return await answered
                except (RedisError, OSError) as exc:
                    failure = exc
        finally:
            for one in tries:
                one.cancel()
            await asyncio.gather(*tries, return_exceptions=True)
        raise failure

    async def _ask(self, host: Host) -> list[tuple[int, Host]]:
        if self._address.topology == "sentinel":
            command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.name)
            [found] = await self._exchange(self._pool(host, sentinel=True), [command])
            if isinstance(found, ResponseError):
                raise found
            if not found:
                raise ResponseError(f"the sentinels know no master called {self._address.name!r}")
            with _reading():
                return [(16383, (found[0].decode(), int(found[1])))]
        [slots] = await self._exchange(self._pool(host), [("CLUSTER", "SLOTS")])
        if isinstance(slots, ResponseError):
            raise slots
        with _reading():
            places = sorted(
                (last, (node[0].decode() or host[0], int(node[1]))) for _, last, node, *_ in slots
            )
        if not places or places[-1][0] != 16383:
            raise ResponseError("the cluster does not serve every slot")
        return places

    async def _exchange(self, pool: Any, commands: Sequence[Command]) -> list[Any]:
        """One round trip. A connection that was left in the middle of one is closed."""
        try:
            with _reading():
                connection = await pool.get_connection()
            try:
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
                with _reading():
                    return [await _reply(connection) for _ in commands]
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            finally:
                await pool.release(connection)
        except RuntimeError as exc:  # uvloop's word for a connection that was lost meanwhile
            raise ConnectionResetError("the connection was lost") from exc

    def _pool(self, host: Host, *, sentinel: bool = False) -> Any:
        pool = self._pools.get(host)
        if pool is None:
            address = self._address
            settings: dict[str, Any] = {
                "host": host[0],
                "port": host[1],
                "username": None if sentinel else address.username,
                "password": address.sentinel_password if sentinel else address.password,
                "db": 0 if sentinel else address.database,
                "protocol": 2,  # the newer one lets a server send its clients elsewhere
                "retry": Retry(NoBackoff(), 0),
                "socket_timeout": None,  # each round trip has its own
                "socket_connect_timeout": None,
            }
            if address.tls:
                settings |= {"connection_class": _VerifiedConnection, "ssl_ca_certs": address.ca_file}
            # Who finds all in use waits: for no longer than its own time, as `run` says.
            pool = BlockingConnectionPool(max_connections=_MAX_CONNECTIONS, timeout=None, **settings)
            self._pools[host] = pool
        return pool

    def _unavailable(self, exc: Exception) -> StoreUnavailable:
        self._places = None
        return StoreUnavailable(f"redis at {self._address}: {self._words(exc)}")

    def _words(self, exc: Exception) -> str:
        """What went wrong, for the operator."""
        match exc:
            case TimeoutError():
                return "does not answer in time"
            case AuthenticationError():
                return "refuses to log in: check the username and the password in storage"
            case OutOfMemoryError():
                return "is out of memory: raise its maxmemory"
            case ReadOnlyError() if self._address.topology == "sentinel":
                return "is no master any more: its sentinels are asked who is"
            case ReadOnlyError():
                return "is a replica: name the master, or its sentinels (redis+sentinel://)"
            case ResponseError() if _forbidden(exc):
                said = self._scrubbed(str(exc))
                return f"{said}: it needs {_RIGHTS} on ~{self._ours}*, and perhaps more (docs/stores.rst)"
            case TryAgainError():
                return "moves what it is asked for to another server: that must end first"
            case AskError():  # or one that has moved
                return "is part of a cluster: write redis+cluster:// in the address"
            case LostConnection() if not isinstance(exc, BusyLoadingError):
                return f"cannot be reached: {self._scrubbed(_lost(exc))}"
            case _:
                return self._scrubbed(str(exc))

    def _scrubbed(self, words: str) -> str:
        """A server may repeat what it was sent, say where in a script that was, and end its sentences, which
        go on here."""
        words = words.partition(", with args")[0].partition(" script:")[0].rstrip(".")
        for secret in (self._address.password, self._address.sentinel_password):
            words = words.replace(secret, "***") if secret else words
        return words[:200]


def yes(reply: Any) -> bool:
    """What a script answers with 1 or 0. Raises `ValueError` for all else."""
    if reply not in (0, 1):
        raise ValueError("neither yes nor no")
    return bool(reply)


def _lost(exc: LostConnection) -> str:
    """Why there is no connection, without where to: that is said before."""
    reason = exc.__context__
    if isinstance(reason, ConnectionError) and reason.errno:
        return os.strerror(reason.errno)
    return str(exc).partition(". ")[2] or str(exc)


def _forbidden(exc: ResponseError) -> bool:
    """Whether a user lacks rights: to load a script, to run it, or to do what it does."""
    return isinstance(exc, NoPermissionError | NoScriptError) or "user executing the script" in str(exc)


@contextmanager
def _reading() -> Iterator[None]:
    """Raises `InvalidResponse` for what cannot be read."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        raise InvalidResponse("answered with something that is not ours") from exc


async def _reply(connection: Connection) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as exc:
        return exc


async def _all(parts: Iterable[Awaitable[None]]) -> None:
    """Wait for all; then raise what the first to fail raised."""
    for result in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
