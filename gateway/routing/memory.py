"""What is remembered between requests and across reloads: of provider keys, by the key's identity."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from gateway.api import Limits, Meter, Store
from gateway.routing.affinity import LastUses
from gateway.routing.circuit import Circuit, CircuitSettings, CircuitState
from gateway.routing.estimate import OutputAverages
from gateway.routing.headroom import Headroom
from gateway.routing.health import KeyModelHealth
from gateway.routing.penalty import KeyPenalty

FREE_SECONDS = 60.0
"""For so long a process that starts hears that a key is free or works again; longer than that takes."""
MAX_WORDS = 500
"""So long are the words of an error at most that others are told."""
_LATE = 5.0
"""Seconds: by so much a key's rest may end later here than in the process that tried it first."""
MAX_MODELS = 64
"""Models of one key that are told apart; the rest share one state, as callers can make names up."""


class KeyStatus(StrEnum):
    """Why a key is used or not, the gravest first: the ``state`` of metrics and of the admin API."""

    DISABLED = "disabled"
    """Switched off, rejected, or out of money: the latter two until an attempt succeeds, though it is tried
    again when its rest is over."""
    COOLING = "cooling"
    """The upstream asked for a pause, or needs one."""
    OPEN = "open"
    """The circuits of all its models are open."""
    LIMITED = "limited"
    """A window is full."""
    ACTIVE = "active"

    @classmethod
    def gravest(cls, found: Collection[str]) -> KeyStatus:
        """What to tell of a key that several processes have found so."""
        return next(status for status in cls if status in found)


@dataclass(slots=True)
class ModelState:
    """One key with one model: estimates from its traffic, its circuit, and what the upstream says is left."""

    health: KeyModelHealth
    circuit: Circuit
    headroom: Headroom = field(default_factory=Headroom)


@dataclass(slots=True)
class KeyState:
    """One provider key: its windows, its penalties, and its models."""

    meter: Meter
    penalty: KeyPenalty
    off: bool = False
    """An operator has taken it out of use."""
    last_error: str | None = None
    last_error_at: float | None = None
    """Seconds since the epoch."""
    near_limit: bool = False
    """A window of it is used to 80 % and more, and that was said."""
    models: dict[str, ModelState] = field(default_factory=dict)

    def status(self, now: float) -> KeyStatus:
        """The gravest that it is in. ``now``: monotonic seconds."""
        if self.off or self.penalty.rejected:
            return KeyStatus.DISABLED
        if now < self.meter.cooled_until:
            return KeyStatus.COOLING
        if {model.circuit.state(now) for model in self.models.values()} == {CircuitState.OPEN}:
            return KeyStatus.OPEN
        if now >= self.meter.valid_until:
            self.meter.refresh(now)
        full = max(self.meter.request_share, self.meter.token_share) >= 1
        return KeyStatus.LIMITED if full else KeyStatus.ACTIVE

    def free(self, now: float) -> None:
        """Forget all that keeps it from being used or counts against it, but its windows."""
        self.meter.cooled_until = 0.0
        self.penalty = KeyPenalty()
        self.last_error = self.last_error_at = None
        for model in self.models.values():
            model.circuit.forget(now)
            model.health.forget_errors()


@dataclass(slots=True)
class Memory:
    """Every key seen since the start. States are found by identity, never by place in the file.

    What one process finds out about a key is shared with the others as a fact (`Store.share`), by the key's
    subject: ``cooling``, ``disabled N`` (N rejections in a row), ``accepted`` (it works again) or ``free``,
    the first two with the error that was the reason in a second line (when, a space, its words); by
    ``circuit:MODEL:`` and the subject: ``open`` or ``closed``. It holds for the seconds given.
    """

    store: Store
    trouble_until: float = 0.0
    """Monotonic seconds; past it every key may be used, and candidates need not be looked at."""
    keys: dict[str, KeyState] = field(default_factory=dict)
    outputs: OutputAverages = field(default_factory=OutputAverages)
    uses: LastUses = field(default_factory=LastUses)
    """Who answered conversations last, for `Affinity`."""
    clients_existed: bool = False
    """There have been clients since the start, if only in an earlier configuration."""

    def cool(self, key: KeyState, seconds: float, now: float) -> None:
        """Keep a key from being used for ``seconds`` from ``now`` (monotonic seconds) on, or longer, here
        and in the other processes."""
        if self._cool(key, now + seconds):
            disabled = key.penalty.disabled(now)
            value = f"disabled {key.penalty.rejections}" if disabled else "cooling"
            if key.last_error is not None:
                value += f"\n{key.last_error_at} {key.last_error[:MAX_WORDS]}"
            self.store.share(key.meter.subject, value, seconds)

    def accept(self, key: KeyState, began: float) -> None:
        """`KeyPenalty.accept`, here and in the other processes."""
        if key.penalty.accept(began):
            self.store.share(key.meter.subject, "accepted", FREE_SECONDS)

    def free(self, key: KeyState, now: float) -> None:
        """`KeyState.free`, here and in the other processes."""
        key.free(now)
        self.store.share(key.meter.subject, "free", FREE_SECONDS)

    def hear(self, name: str, value: str, seconds: float) -> None:
        """Take in a fact that another process shared (`Site.heard`)."""
        now = time.monotonic()
        what, _, rest = name.partition(":")
        if what == "circuit":
            model, _, subject = rest.rpartition(":key:")
            if (key := self.keys.get(f"key:{subject}")) is not None:
                circuit = self.model(key, model).circuit
                circuit.open(now, seconds) if value == CircuitState.OPEN else circuit.close(now)
        elif (key := self.keys.get(name)) is not None:
            said, _, error = value.partition("\n")
            word, _, rejections = said.partition(" ")
            if word == "free":
                key.free(now)
            elif word == "accepted":
                key.penalty.accept(now + _LATE)
            else:
                self._cool(key, now + seconds)
                at, _, words = error.partition(" ")
                with suppress(ValueError):  # none was told
                    key.last_error_at, key.last_error = float(at), words
            if word == "disabled" and rejections.isdecimal():
                key.penalty.disable(now + seconds, int(rejections))

    def key(self, provider: str, key: str, limits: Limits) -> KeyState:
        """The state of a key, with the limits of the newest configuration."""
        subject = f"key:{provider}/{key}"
        meter = self.store.meter(subject, limits)
        state = self.keys.get(subject)
        if state is None:
            state = self.keys[subject] = KeyState(meter, KeyPenalty())
        return state

    def retain(self, keys: Iterable[KeyState]) -> None:
        """Forget all other keys. A request that still runs on one of them keeps it to the end; their windows
        are the store's to remember."""
        self.keys = {key.meter.subject: key for key in keys}

    def disable(self, disabled: frozenset[str]) -> None:
        """Take these keys (``PROVIDER_ID/KEY_ID``) out of use, and put all others back into it."""
        for subject, state in self.keys.items():
            state.off = subject.removeprefix("key:") in disabled
        if any(state.off for state in self.keys.values()):
            self.trouble_until = math.inf
        elif self.trouble_until == math.inf:
            self.trouble_until = max(state.meter.cooled_until for state in self.keys.values())

    def model(self, key: KeyState, model: str, settings: CircuitSettings | None = None) -> ModelState:
        """The state of one model of a key, its circuit with the newest settings."""
        if model not in key.models and len(key.models) >= MAX_MODELS:
            model = ""
        state = key.models.get(model)
        if state is None:
            turned = partial(self.store.share, f"circuit:{model}:{key.meter.subject}")
            circuit = Circuit(settings or CircuitSettings(), turned)
            state = key.models[model] = ModelState(KeyModelHealth(), circuit)
        if settings is not None:
            state.circuit.settings = settings
        return state

    def _cool(self, key: KeyState, until: float) -> bool:
        """Whether that is news."""
        self.trouble_until = max(self.trouble_until, until)
        longer = until > key.meter.cooled_until
        key.meter.cooled_until = max(key.meter.cooled_until, until)
        return longer
