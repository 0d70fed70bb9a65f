"""Secrets at rest: sealed with AES-256-GCM, under keys that scrypt derives from the master keys.

A sealed secret is text: ``coo-sealed:1:KEY_ID:BASE64(nonce, ciphertext, tag)``. The place where it stands is
authenticated with it, so it cannot be moved to another one.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
from base64 import b64decode, b64encode
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MARK = "coo-sealed:1:"
HOW_TO = "set storage.master_key or the environment variable COO_LLM_MASTER_KEY, and restart"

_NONCE = 12
_SALT = b"coo-llm master key 1"
_BETWEEN_KEYS = re.compile(r"[,\r\n]+")


class VaultError(Exception):
    """A secret that cannot be sealed or opened; the message says what to do and holds no secret."""


class NoMasterKey(VaultError):
    """There is nothing to seal with."""

    def __init__(self) -> None:
        super().__init__(f"a secret can be kept only with a master key: {HOW_TO}")


class _Key(NamedTuple):
    id: str
    cipher: AESGCM


class Vault:
    """Seals with the first of the master keys, opens with any of them."""

    def __init__(self, master_keys: str | None) -> None:
        """``master_keys``: one, or several between commas or line breaks. Deriving takes some 50 ms each."""
        given = _BETWEEN_KEYS.split(master_keys or "")
        self._keys = [_derive(key.strip()) for key in given if key.strip()]

    @property
    def seals(self) -> bool:
        """Whether there is a master key to seal with."""
        return bool(self._keys)

    def seal(self, secret: str, place: str) -> str:
        """Raises `NoMasterKey`."""
        if not self._keys:
            raise NoMasterKey
        key = self._keys[0]
        nonce = os.urandom(_NONCE)
        sealed = nonce + key.cipher.encrypt(nonce, secret.encode(), place.encode())
        return f"{MARK}{key.id}:{b64encode(sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """What was sealed for ``place``. Raises `VaultError`, never gives anything else."""
        id_, _, data = sealed.removeprefix(MARK).partition(":")
        key = next((key for key in self._keys if key.id == id_), None)
        if not self._keys:
            raise VaultError(f"is encrypted, and there is no master key: {HOW_TO}")
        if key is None:
            raise VaultError(
                f"was encrypted with another master key (id {id_[:8]!r}): put that one back, "
                "after the new one and a comma"
            )
        try:
            raw = b64decode(data, validate=True)
            return key.cipher.decrypt(raw[:_NONCE], raw[_NONCE:], place.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise VaultError("is damaged, or was put here from another place: set it anew") from None

    def current(self, sealed: str) -> bool:
        """Whether it is sealed with the key that seals now."""
        return bool(self._keys) and sealed.startswith(f"{MARK}{self._keys[0].id}:")


def _derive(master: str) -> _Key:
    key = hashlib.scrypt(master.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
    return _Key(hashlib.sha256(b"key id " + key).hexdigest()[:8], AESGCM(key))
