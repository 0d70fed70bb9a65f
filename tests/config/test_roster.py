"""All clients together: whose a key is that both the file and the admin API give to somebody."""

from __future__ import annotations

from gateway.config.managed import ClientKey, Managed, ManagedClient
from gateway.config.read import Loaded
from gateway.config.roster import KnownClient, key_of, roster
from tests.config.conftest import ECHO, Load

ONE, TWO, NEW = (ClientKey(digit * 64) for digit in "123")


def file(load: Load, *ids: str) -> Loaded:
    """Each client's key is ``sk-`` and its id."""
    clients = ", ".join(f"{{id: {id_}, key: sk-{id_}}}" for id_ in ids)
    return load(f"{ECHO}api_keys: [{clients}]\n")


def keys_of(loaded: Loaded) -> dict[str, ClientKey]:
    return {client.id: key_of(client) for client in loaded.config.api_keys or ()}


def together(
    loaded: Loaded, before: dict[str, KnownClient] | None = None, **entries: ManagedClient
) -> tuple[dict[str, KnownClient], list[str]]:
    return roster(loaded.config, loaded.values, Managed(clients=entries), before or {})


def test_a_key_that_the_file_gives_is_that_clients_alone(load: Load) -> None:
    loaded = file(load, "a")
    made = ManagedClient({}, (keys_of(loaded)["a"], ONE), 1.0)
    clients, warnings = together(loaded, made=made)
    assert (clients["a"].keys, clients["made"].keys) == ((keys_of(loaded)["a"],), (ONE,))
    [warning] = warnings
    assert warning.startswith("a key of the client made, set through the admin API, is that of a in the file")
    assert "POST /admin/v1/clients/made/rotate" in warning
    again, warnings = together(loaded, clients, made=made)
    assert again["made"] is clients["made"] and warnings == [warning]
    without, warnings = together(file(load), clients, made=made)  # the file's client is gone
    assert (without["made"].keys, warnings) == (made.keys, [])


def test_a_key_that_a_client_of_the_file_was_given_is_not_that_of_another_there(load: Load) -> None:
    loaded = file(load, "a", "b")
    clients, warnings = together(loaded, a=ManagedClient({}, (keys_of(loaded)["b"],)))
    assert (clients["a"].keys, clients["b"].keys) == ((), (keys_of(loaded)["b"],))
    [warning] = warnings
    assert warning.endswith("coo-llm revert PATH api_keys.a")


def test_a_key_that_was_rotated_out_is_given_to_another_without_a_word(load: Load) -> None:
    loaded = file(load, "a", "b")
    rotated = ManagedClient({}, (NEW, ClientKey(keys_of(loaded)["b"].digest, 5.0)))
    clients, warnings = together(loaded, a=rotated)
    assert (clients["a"].keys, warnings) == ((NEW,), [])


def test_a_client_that_was_made_before_it_came_to_the_file_is_told(load: Load) -> None:
    loaded = file(load, "a")
    clients, warnings = together(loaded, a=ManagedClient({}, (ONE,), 1.0))
    assert clients["a"].keys == (ONE,)
    [warning] = warnings
    assert warning.startswith("the client a of the file was made through the admin API as well")
    assert warning.endswith("coo-llm revert PATH api_keys.a")


def test_a_client_may_be_given_the_key_that_it_has_in_the_file(load: Load) -> None:
    loaded = file(load, "a")
    clients, warnings = together(loaded, a=ManagedClient({}, (keys_of(loaded)["a"], TWO)))
    assert (clients["a"].keys, warnings) == ((keys_of(loaded)["a"], TWO), [])


def test_a_client_that_the_file_has_no_more_is_none_whatever_was_changed_of_it(load: Load) -> None:
    changed = ManagedClient({"limits": {"req_per_min": 5}}, (NEW,))
    before, warnings = together(file(load, "a"), a=changed)
    assert (before["a"].keys, warnings) == ((NEW,), [])
    clients, warnings = together(file(load), before, a=changed)
    assert (clients, warnings) == (
        {},
        ["the client a is no more in the file: what was changed of it waits for it"],
    )
    assert together(file(load, "a"), clients, a=changed)[0]["a"].settings.limits.req_per_min == 5
