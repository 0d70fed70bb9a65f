"""The name of a cached answer: the same for the same request, another for any other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import orjson
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.catalog import Target
from gateway.dialects.openai_client import CHAT
from gateway.request.cache import cache_key
from gateway.request.entry import Entry
from gateway.request.transaction import Transaction

json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["model", "messages", "temperature", "seed", "tools", "metadata"])
bodies = st.dictionaries(names, json, max_size=6)


def key(
    body: dict[str, Any],
    *,
    operation: str = "chat",
    client: str = "one",
    providers: frozenset[str] | None = None,
    models: tuple[str, ...] | None = None,
    targets: tuple[str, ...] = ("up:m",),
    shared: bool = False,
) -> str:
    who = SimpleNamespace(id=client, providers=providers, models=models)
    tx = SimpleNamespace(operation=SimpleNamespace(name=operation, dialect=CHAT), client=who, body=body)
    pairs = [target.split(":") for target in targets]
    found = [SimpleNamespace(provider=provider, model=model) for provider, model in pairs]
    return cache_key(cast(Transaction, tx), cast(list[Target], found), shared=shared)


@given(bodies, st.randoms())
def test_order_and_what_is_not_heeded_make_no_difference(body: dict[str, Any], random: Any) -> None:
    shuffled = list(body.items())
    random.shuffle(shuffled)
    more = {"stream": True, "stream_options": {"include_usage": True}, "user": "somebody"}
    assert key(body) == key({**dict(shuffled), **more})


@given(bodies, names, json)
def test_any_other_value_makes_another_request(body: dict[str, Any], name: str, value: Any) -> None:
    changed = {**body, name: value}
    same = orjson.OPT_SORT_KEYS
    assume(orjson.dumps(changed, option=same) != orjson.dumps(body, option=same))
    assert key(changed) != key(body)


@given(bodies)
def test_who_asks_what_of_whom_makes_another_request(body: dict[str, Any]) -> None:
    others = [
        key(body),
        key(body, operation="completions"),
        key(body, client="two"),
        key(body, shared=True),
        key(body, providers=frozenset({"up"})),
        key(body, models=("m",)),
        key(body, targets=("up:m", "down:m")),
        key(body, targets=("up:n",)),
    ]
    assert len(set(others)) == len(others)
    assert key(body, client="two", shared=True) == key(body, shared=True)
    assert key(body, targets=("up:m", "up:m")) == key(body)


@given(st.text(), st.lists(st.text()), st.none() | st.text(), st.binary())
def test_an_entry_is_kept_as_it_is(name: str, dropped: list[str], clamped: str | None, body: bytes) -> None:
    assume(not any(0xD800 <= ord(letter) < 0xE000 for letter in name + "".join(dropped) + (clamped or "")))
    entry = Entry(name, "k", "m", tuple(dropped), clamped, body)
    assert Entry.unpack(entry.pack()) == entry


def test_what_is_no_entry_is_none() -> None:
    for rubbish in (b"", b"{", b"null\nx", b"[]\nx", b'[2,"up","k","m",[],null]\n{}', b"[1,1,1,1,1,1]\n"):
        assert Entry.unpack(rubbish) is None
