"""The configuration as a whole: the file, and on top of it what the document in ``storage.config`` holds."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256

from gateway.api import ConfigStore, Conflict, StoreUnavailable
from gateway.config.cautions import warnings
from gateway.config.known import Known
from gateway.config.managed import Managed, parse, serialise
from gateway.config.overlay import Overlay, is_part
from gateway.config.overlay_applied import applied, blamed
from gateway.config.overlay_secrets import resealed
from gateway.config.problems import Problem
from gateway.config.read import ConfigError, Loaded, fingerprint
from gateway.config.roster import KnownClient, roster
from gateway.config.schema import Config
from gateway.vault import Vault

log = logging.getLogger(__name__)

POLL = 0.4
"""Seconds between two looks at whether another process has changed the document."""
_READING = ("parse", "read", "version")
_ATTEMPTS = 50
"""How often a change is tried that others are always faster to write."""
_LONGEST_PAUSE = 0.05
"""Seconds between two of them, at most: by chance, or those who collide would collide again."""
_GONE = (
    "the document of settings and clients is gone: what was read last stays in effect and is written again; "
    "to begin without it, stop all gateways that use it first"
)


def _unchecked(config: Config) -> None:
    pass


def _uncounted(operation: str) -> None:
    pass


@dataclass(eq=False)
class ManagedConfig:
    """Reads both, keeps the last that was good, and writes the document."""

    file: Loaded
    """The file as it was valid last."""
    read: Callable[[], Loaded]
    """Reads the file again. Raises `ConfigError`."""
    store: ConfigStore
    vault: Vault
    known: Known
    check: Callable[[Config], object] = _unchecked
    """Raises `ConfigError` for what plugins say against their settings."""
    failed: Callable[[str], None] = _uncounted
    """Called with the operation of the store that failed."""
    managed: Managed | None = field(default=None, init=False)
    """The document as it was read last; None: never yet."""

    def __post_init__(self) -> None:
        self._version: str | None = None
        self._failures: dict[str, str] = {}
        """What the store said where it failed last, by operation; without those that have worked since."""
        self._good = self.file
        self._made_of: tuple[str, Overlay] = self.file.version, {}
        """What the last good one was made of: the file's version and the overlay."""
        self.clients: Mapping[str, KnownClient] = self.file.clients
        """Every client by id, as loaded last."""
        self.warnings: Sequence[str] = self.file.warnings
        """What wanted a second look in what was loaded last."""
        self._existed = False
        """There has been a client, as far as this process knows."""

    async def load(self, *, again: bool = True) -> Loaded:
        """The configuration as it is now; ``again``: read the file, too. If the settings are not valid, the
        last valid ones stay in effect and `Loaded.refused` says why; clients and disabled keys are taken over
        all the same."""
        with suppress(StoreUnavailable):  # what was read last stays
            with self._asking("read"):
                document = await self.store.read()
                if self._lost(document.version):
                    raise StoreUnavailable(_GONE)
            self._version = document.version
            with self._asking("parse"):
                self.managed = await asyncio.to_thread(parse, document.data)
        loaded = await asyncio.to_thread(self._compose, self.managed, again)
        self.clients, self.warnings = loaded.clients, loaded.warnings
        self._existed |= bool(loaded.clients) or (self.managed is not None and self.managed.clients_existed)
        return loaded

    async def update(self, change: Callable[[Managed], Managed], *, always: bool = False) -> Managed:
        """Replace the document by what ``change`` makes of it; to be followed by a reload. ``always``: write
        also what is not changed. Where the store has lost the document, it is made of what was read last.

        ``change`` may be called more than once, and what it raises is passed on. Raises `ConfigError` if the
        configuration would not be valid, unless it was not before and less is set now, and
        `StoreUnavailable`; nothing is changed then.
        """
        for _ in range(_ATTEMPTS):
            with self._asking("read"):
                document = await self.store.read()
            lost = self._lost(document.version)
            before = self.managed if lost and self.managed is not None else parse(document.data)
            after = change(before)
            if after == before and not (always or lost):
                return before
            if after.overlay != before.overlay:
                await asyncio.to_thread(self._must_fit, after.overlay, before.overlay)
            after = replace(after, overlay=resealed(after.overlay, self.vault))
            try:
                with self._asking("write"):
                    version = await self._write(serialise(after), document.version)
            except Conflict:
                await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))
                continue
            if lost:
                log.error("storage.config had lost the document: what was read of it last is there again")
            if lost or document.version == self._version:
                self._version, self.managed = version, after
            return after
        raise StoreUnavailable("others keep changing the configuration: try again")

    async def _write(self, data: bytes, expected: str) -> str:
        """As `ConfigStore.write`, also where it was done and only the answer is lost."""
        try:
            return await self.store.write(data, expected)
        except StoreUnavailable:
            with suppress(StoreUnavailable):
                found = await self.store.read()
                if found.data == data and found.version != expected:
                    return found.version
            raise

    async def follow(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever somebody else has written the document, write it again where it is gone,
        and find out when one that could not be written can be; until cancelled."""
        while True:
            with suppress(StoreUnavailable):
                await self._look(changed)
            await asyncio.sleep(POLL)

    async def _look(self, changed: Callable[[], None]) -> None:
        with self._asking("version"):
            version = await self.store.version()
        if self._lost(version):
            await self.update(lambda managed: managed)
            return
        if version != self._version:
            changed()
            return
        self._works("read")
        if self._to_be_remembered():
            await self.update(lambda managed: replace(managed, clients_existed=True))
        elif self.unwritten is not None:
            await self.update(lambda managed: managed, always=True)

    @property
    def trouble(self) -> str | None:
        """Why the document could not be read last; None if it could."""
        return next((self._failures[name] for name in _READING if name in self._failures), None)

    @property
    def unwritten(self) -> str | None:
        """Why it could not be written last; None if it could. It is tried again until it can be."""
        return self._failures.get("write")

    @property
    def effective(self) -> Loaded:
        """The settings as they were good last; of the clients only those of the file, as they are there."""
        return self._good

    def combined(self, overlay: Overlay) -> Config:
        """The file as it was valid last with ``overlay`` on top. Raises `ConfigError`."""
        config = self.file.config
        if overlay:
            config = applied(self.file.values, overlay, self.vault, self.known)
        self.check(config)
        return config

    def _must_fit(self, overlay: Overlay, before: Overlay) -> None:
        """Raises `ConfigError` if ``overlay`` does not fit the file, unless ``before`` did not either and
        ``overlay`` is a part of it: what does not fit may be taken back step by step."""
        try:
            self.combined(overlay)
        except ConfigError:
            if not is_part(overlay, before) or self._fits(before):
                raise

    def _fits(self, overlay: Overlay) -> bool:
        try:
            self.combined(overlay)
        except ConfigError:
            return False
        return True

    def _compose(self, managed: Managed | None, again: bool) -> Loaded:
        refused = self._refresh(managed.overlay if managed is not None else {}, again)
        clients, notes = roster(self._good.config, self._good.values, managed or Managed(), self.clients)
        return replace(
            self._good,
            refused=refused,
            clients=clients,
            managed=managed,
            version=_version(self._good.version, managed, clients),
            warnings=[*self._good.warnings, *notes],
        )

    def _refresh(self, overlay: Overlay, again: bool) -> Sequence[Problem]:
        """Take file and overlay as they are now, or say why not."""
        try:
            if again:
                self.file = self.read()
            made_of = self.file.version, overlay
        except ConfigError as error:
            return error.errors
        if made_of == self._made_of:
            return ()
        try:
            config = self.combined(overlay)
        except ConfigError as error:
            return blamed(self.file.values, overlay, error.errors) if overlay else error.errors
        notes = dict.fromkeys([*self.file.warnings, *warnings(config)])
        self._good = replace(self.file, config=config, version=fingerprint(config), warnings=list(notes))
        self._made_of = made_of
        return ()

    def _lost(self, version: str) -> bool:
        """Whether the store forgot the document: no change leaves none. One that was damaged, the operator
        removes to begin without it."""
        return not version and bool(self._version) and "parse" not in self._failures

    def _to_be_remembered(self) -> bool:
        return self.managed is not None and not self.managed.clients_existed and self._existed

    @contextmanager
    def _asking(self, operation: str) -> Iterator[None]:
        """Count and remember it where the store fails; forget it where it does not."""
        try:
            yield
        except StoreUnavailable as exc:
            self.failed(operation)
            if operation not in self._failures:
                log.error("storage.config fails", extra={"operation": operation, "error": str(exc)})
            self._failures[operation] = str(exc)
            raise
        self._works(operation)

    def _works(self, operation: str) -> None:
        if self._failures.pop(operation, None) is not None:
            log.info("storage.config works again", extra={"operation": operation})


def _version(settings: str, managed: Managed | None, clients: Mapping[str, KnownClient]) -> str:
    """The version of the settings, or where more was made through the admin API, of all together."""
    if managed is None:
        more = b"not read"
    else:
        existed = managed.clients_existed and not clients
        more = serialise(replace(managed, overlay={}, clients_existed=existed))
        if more == serialise(Managed()):
            return settings
    return sha256(settings.encode() + more).hexdigest()[:12]
