"""The models: who serves them, at which price."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.admin.calling import ECHO, administered, call
from tests.daemon.running import running

FREE = {
    "id": "spare",
    "type": "echo",
    "model": "m",
    "models": ["big"],
    "api_keys": [
        {"id": "dear", "key": "canary-dear", "pricing": {"input_token_cost": 1, "output_token_cost": 2}},
        {"id": "unknown", "key": "canary-unknown"},
    ],
}


async def models(folder: Path, **sections: Any) -> dict[str, dict[str, Any]]:
    async with running(administered(ECHO, FREE, **sections), folder) as gateway:
        status, body = await call(gateway, "GET /models")
        assert status == 200
        return {model.pop("name"): model for model in body["models"]}


async def test_a_model_is_served_by_all_who_list_it_each_at_its_price(tmp_path: Path) -> None:
    model = (await models(tmp_path))["m"]
    assert model["kind"] == "model"
    assert [(one["provider"], one["keys"]) for one in model["serves"]] == [
        ("up", ["first", "second"]),
        ("spare", ["dear"]),
        ("spare", ["unknown"]),
    ]
    prices = [one["prices"] for one in model["serves"]]
    assert [price and (price["input"], price["output"]) for price in prices] == [(0.002, 0.01), (1, 2), None]


async def test_an_alias_has_weights_and_an_address_names_its_provider(tmp_path: Path) -> None:
    split = [{"target": "up:m", "weight": 3}, {"target": "spare:big", "weight": 1}]
    found = await models(tmp_path, model_aliases={"mixed": split, "up:m": "spare:big"})
    assert found["mixed"]["kind"] == "alias"
    weights: dict[str, float] = {}
    for one in found["mixed"]["serves"]:
        weights[one["model"]] = weights.get(one["model"], 0) + one["weight"]
    assert weights["m"] == 3 * weights["big"]
    assert found["up:m"]["kind"] == "address"
    assert {one["provider"] for one in found["up:m"]["serves"]} == {"up"}
