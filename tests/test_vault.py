"""Sealed secrets: only the right key opens them, only where they belong, and only undamaged."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest

from gateway.vault import MARK, NoMasterKey, Vault, VaultError

SECRET = "sk-canary-0123456789"
PLACE = "llm_providers.up.api_keys.one.key"
OLD, NEW = Vault("the old master key"), Vault("the new master key")


def test_what_is_sealed_can_be_opened_and_is_not_to_be_seen() -> None:
    sealed = OLD.seal(SECRET, PLACE)
    assert "canary" not in sealed
    assert sealed.startswith(MARK)
    assert OLD.open(sealed, PLACE) == SECRET


def test_no_two_are_the_same() -> None:
    assert OLD.seal(SECRET, PLACE) != OLD.seal(SECRET, PLACE)


@pytest.mark.parametrize("at", [0, 11, 12, 20, -1])
@pytest.mark.parametrize("bit", [1, 128])
def test_every_flipped_bit_is_noticed(at: int, bit: int) -> None:
    head, _, data = OLD.seal(SECRET, PLACE).rpartition(":")
    raw = bytearray(b64decode(data))
    raw[at] ^= bit
    with pytest.raises(VaultError, match="damaged"):
        OLD.open(f"{head}:{b64encode(raw).decode()}", PLACE)


@pytest.mark.parametrize("data", ["", "AAAA", "not base64!", "é"])
def test_what_is_no_sealed_secret_is_refused(data: str) -> None:
    head = OLD.seal(SECRET, PLACE).rpartition(":")[0]
    with pytest.raises(VaultError, match="damaged"):
        OLD.open(f"{head}:{data}", PLACE)


def test_it_cannot_be_moved() -> None:
    with pytest.raises(VaultError, match="another place"):
        OLD.open(OLD.seal(SECRET, PLACE), "server.admin_api_key")


def test_another_master_key_is_named_and_nothing_is_given() -> None:
    with pytest.raises(VaultError, match="another master key") as refused:
        NEW.open(OLD.seal(SECRET, PLACE), PLACE)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("none", [None, "", " , \n"])
def test_without_a_master_key_it_says_how_to_set_one(none: str | None) -> None:
    with pytest.raises(NoMasterKey, match="COO_LLM_MASTER_KEY"):
        Vault(none).seal(SECRET, PLACE)
    with pytest.raises(VaultError, match="COO_LLM_MASTER_KEY"):
        Vault(none).open(OLD.seal(SECRET, PLACE), PLACE)


@pytest.mark.parametrize("between", [",", ", ", "\n"])
def test_of_several_the_first_seals_and_all_open(between: str) -> None:
    both = Vault(f"the new master key{between}the old master key")
    old = OLD.seal(SECRET, PLACE)
    assert both.open(old, PLACE) == SECRET
    assert not both.current(old)
    new = both.seal(SECRET, PLACE)
    assert both.current(new)
    assert NEW.open(new, PLACE) == SECRET
