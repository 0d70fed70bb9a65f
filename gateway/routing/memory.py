"""What is remembered between requests and across reloads: of provider keys, by the key's identity."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gateway.api import Limits, Meter, Store
from gateway.routing.circuit import Circuit, CircuitSettings
from gateway.routing.estimate import OutputAverages
from gateway.routing.health import KeyModelHealth
from gateway.routing.penalty import KeyPenalty

MAX_MODELS = 64
"""Models of one key that are told apart; the rest share one state, as callers can make names up."""


@dataclass(slots=True)
class ModelState:
    """One key with one model: estimates from its traffic, and its circuit."""

    health: KeyModelHealth
    circuit: Circuit


@dataclass(slots=True)
class KeyState:
    """One provider key: its windows, its penalties, and its models."""

    meter: Meter
    penalty: KeyPenalty
    off: bool = False
    """An operator has taken it out of use."""
    last_error: str | None = None
    near_limit: bool = False
    """A window of it is used to 80 % and more, and that was said."""
    models: dict[str, ModelState] = field(default_factory=dict)


@dataclass(slots=True)
class Memory:
    """Every key seen since the start. States are found by identity, never by place in the file."""

    store: Store
    trouble_until: float = 0.0
    """Monotonic seconds; past it every key may be used, and candidates need not be looked at."""
    keys: dict[str, KeyState] = field(default_factory=dict)
    outputs: OutputAverages = field(default_factory=OutputAverages)
    clients_existed: bool = False
    """There have been clients since the start, if only in an earlier configuration."""

    def cool(self, key: KeyState, seconds: float, now: float) -> None:
        """Keep a key from being used for ``seconds`` from ``now`` (monotonic seconds) on, or longer."""
        key.meter.cooled_until = max(key.meter.cooled_until, now + seconds)
        self.trouble_until = max(self.trouble_until, now + seconds)

    def key(self, provider: str, key: str, limits: Limits) -> KeyState:
        """The state of a key, with the limits of the newest configuration."""
        subject = f"key:{provider}/{key}"
        meter = self.store.meter(subject, limits)
        state = self.keys.get(subject)
        if state is None:
            state = self.keys[subject] = KeyState(meter, KeyPenalty())
        return state

    def disable(self, disabled: frozenset[str]) -> None:
        """Take these keys (``PROVIDER_ID/KEY_ID``) out of use, and put all others back into it."""
        for subject, state in self.keys.items():
            state.off = subject.removeprefix("key:") in disabled
        if any(state.off for state in self.keys.values()):
            self.trouble_until = math.inf
        elif self.trouble_until == math.inf:
            self.trouble_until = max(state.meter.cooled_until for state in self.keys.values())

    def model(self, key: KeyState, model: str, settings: CircuitSettings) -> ModelState:
        """The state of one model of a key, its circuit with the newest settings."""
        if model not in key.models and len(key.models) >= MAX_MODELS:
            model = ""
        state = key.models.get(model)
        if state is None:
            state = key.models[model] = ModelState(KeyModelHealth(), Circuit(settings))
        state.circuit.settings = settings
        return state
