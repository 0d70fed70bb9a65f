"""Facts that processes share by way of an HTTP store."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.api.ledger import LARGEST_SUM
from gateway_stores.facts import Fact
from gateway_stores.http_client import UNFIT, HttpClient, Missing

WITHIN = 0.25
"""Seconds that one exchange takes at most."""


class HttpFacts:
    """A `FactServer`: one call tells and asks."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._since = 0

    async def exchange(self, holder: str, facts: Sequence[Fact]) -> list[Fact]:
        """As `FactServer.exchange`."""
        told = [{"name": name, "value": value, "seconds": seconds} for name, value, seconds in facts]
        body = {"holder": holder, "since": self._since, "facts": told}
        path = ("facts",)
        try:
            answer = await self._client.call(path, body, timeout=WITHIN)
            heard = [(str(one["name"]), str(one["value"]), float(one["seconds"])) for one in answer["facts"]]
            heard_last = int(answer["next"])
        except Missing:
            raise self._client.unavailable(path, "does not know this call") from None
        except (TypeError, KeyError, ValueError):
            raise self._client.unavailable(path, UNFIT) from None
        if not 0 <= heard_last <= LARGEST_SUM:  # as JSON it could not be sent back
            raise self._client.unavailable(path, UNFIT)
        self._since = heard_last
        return heard
