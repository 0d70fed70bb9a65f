"""The authority of `gateway_stores.windows.quota` at an HTTP store: one call for all subjects."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from gateway_stores.http_client import UNFIT, HttpClient, Missing
from gateway_stores.windows.quota import Answer, Ask, answer_from_json, ask_to_json


class HttpAuthority:
    """Implements `gateway_stores.windows.quota.Authority`."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def exchange(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """``POST /windows/exchange``. Raises `StoreUnavailable`."""
        path = ("windows", "exchange")
        body = {"asks": [ask_to_json(ask) for ask in asks]}
        try:
            found = await self._client.call(path, body, timeout=inf)
            answers = [answer_from_json(values) for values in found["answers"]]
        except Missing:
            raise self._client.unavailable(path, "does not know this call") from None
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._client.unavailable(path, UNFIT) from None
        if len(answers) != len(asks):
            raise self._client.unavailable(path, "did not answer every ask")
        return answers
