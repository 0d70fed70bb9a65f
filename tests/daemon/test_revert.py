"""Who locked himself out by the admin API gets in again, by the command that the gateway names."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from gateway.config.managed import ClientKey, Managed, ManagedClient, parse, serialise
from tests.daemon.command import coo_llm
from tests.daemon.running import ADMIN
from tests.daemon.test_workers_file import FILES
from tests.daemon.working import Working, settings, working

ELSEWHERE = "203.0.113.7:2906"
"""An address that no machine has."""


async def change(gateway: Working, part: dict[str, Any]) -> None:
    url = f"{gateway.daemon.url}/admin/v1/config"
    async with gateway.session.post(url, json=part, headers=ADMIN) as response:
        assert response.status == 200, await response.text()


@pytest.mark.parametrize(("workers", "name"), [(1, "listen"), (2, "admin_listen")])
async def test_an_address_that_cannot_be_bound_is_taken_back_as_the_gateway_says(
    tmp_path: Path, workers: int, name: str
) -> None:
    config = settings(storage=FILES, server={"workers": workers})
    async with working(tmp_path, config) as gateway:
        await change(gateway, {"server": {name: ELSEWHERE, "max_body_mb": 7}})
        await gateway.daemon.stop()
        with pytest.raises(RuntimeError, match="exit 3") as failed:
            await gateway.daemon.start()
        last = str(failed.value).splitlines()
        assert last[-3].startswith(f"cannot listen on {ELSEWHERE}: ")
        assert last[-2].startswith(f"server.{name} was set through the admin API; the file says ")
        command = shlex.split(last[-1].partition("coo-llm ")[2])
        done = await coo_llm(command[0], command[1], folder=tmp_path)
        assert (done.code, set(done.out.split())) == (0, {f"server.{name}", "server.max_body_mb"})
        done = await coo_llm(*command, folder=tmp_path)
        assert (done.code, done.err) == (0, "")
        await gateway.daemon.start()
        assert await gateway.asked() == 200


async def test_an_admin_key_that_was_removed_is_there_again_within_a_second(tmp_path: Path) -> None:
    async with working(tmp_path, settings(storage=FILES, server={"workers": 1})) as gateway:
        await change(gateway, {"server": {"admin_api_key": None}})
        url = f"{gateway.daemon.url}/admin/v1/config"

        async def status() -> int:
            async with gateway.session.get(url, headers=ADMIN) as response:
                return int(response.status)

        assert await status() != 200
        path = str(gateway.daemon.config_path)
        assert (await coo_llm("revert", path, "server.admin_api_key", folder=tmp_path)).code == 0
        while await status() != 200:
            pass


async def test_what_was_changed_of_a_client_is_taken_back(tmp_path: Path) -> None:
    async with working(tmp_path, settings(storage=FILES, server={"workers": 1})) as gateway:
        clients, path = f"{gateway.daemon.url}/admin/v1/clients", str(gateway.daemon.config_path)
        async with gateway.session.post(f"{clients}/one/rotate", json={}, headers=ADMIN) as response:
            assert response.status == 200
        async with gateway.session.post(clients, json={"id": "made"}, headers=ADMIN) as response:
            assert response.status == 201
        assert await gateway.asked() == 401
        assert (await coo_llm("revert", path, folder=tmp_path)).out == "api_keys.one\n"
        assert (await coo_llm("revert", path, "api_keys.made", folder=tmp_path)).code == 1
        assert (await coo_llm("revert", path, "api_keys.one", folder=tmp_path)).code == 0
        while await gateway.asked() != 200:
            pass


async def test_of_two_settings_that_do_not_fit_one_is_taken_back_and_the_other_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("llm_providers: [{type: echo, model: m}]\n")
    gone = [{"id": id_, "limits": {"req_per_min": 5}} for id_ in ("a", "b")]
    document = Managed({"llm_providers": gone, "policy": {"priority": "cost"}})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.json").write_bytes(serialise(document))
    done = await coo_llm("revert", "c.yaml", "llm_providers.a", folder=tmp_path)
    assert (done.code, done.out) == (0, "llm_providers.a is taken back.\n")
    first, second = done.err.splitlines()
    assert first == "The rest is not in effect:"
    assert second.startswith("llm_providers.1.type: is required")
    assert second.endswith("coo-llm revert PATH llm_providers.b")
    done = await coo_llm("revert", "c.yaml", "llm_providers.b", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert (await coo_llm("revert", "c.yaml", folder=tmp_path)).out == "policy.priority\n"


async def test_a_client_that_was_made_before_it_came_to_the_file_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "llm_providers: [{type: echo, model: m}]\napi_keys: [{id: two, key: sk-two}]\n"
    )
    made = {
        id_: ManagedClient({}, (ClientKey(digit * 64),), 1.0) for id_, digit in (("two", "2"), ("three", "3"))
    }
    document = tmp_path / "data" / "config.json"
    document.parent.mkdir()
    document.write_bytes(serialise(Managed(clients=made)))
    assert (await coo_llm("revert", "c.yaml", folder=tmp_path)).out == "api_keys.two\n"
    assert (await coo_llm("revert", "c.yaml", "api_keys.two", folder=tmp_path)).code == 0
    assert parse(document.read_bytes()).clients.keys() == {"three"}


async def test_what_cannot_be_taken_back(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("llm_providers: [{type: echo, model: m}]\n")
    done = await coo_llm("revert", "c.yaml", folder=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "nothing is set on top of c.yaml\n")
    done = await coo_llm("revert", "c.yaml", "server.listen", folder=tmp_path)
    assert (done.code, done.err) == (
        1,
        "nothing is set at server.listen: coo-llm revert c.yaml lists what is\n",
    )
    (tmp_path / "data" / "config.json").write_text("{")
    done = await coo_llm("revert", "c.yaml", folder=tmp_path)
    assert done.code == 1 and "config.json" in done.err and "Traceback" not in done.err
    done = await coo_llm("revert", "none.yaml", folder=tmp_path)
    assert done.code == 1 and "none.yaml" in done.err and "Traceback" not in done.err
