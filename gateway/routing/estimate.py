"""How many tokens a request will use, as well as can be said before the upstream does."""

from __future__ import annotations

from gateway.routing.bounded import Bounded

BYTES_PER_TOKEN = 4
MEDIA_TOKENS = 1000
"""What an image, an audio clip or a file in base64 counts, whatever its size."""
LONG_BASE64 = 1024
"""Bytes from which on a base64 string is taken for media."""
UNKNOWN_OUTPUT = 256.0
"""Output tokens of a model that has not answered yet."""
LEARNING = 0.1
"""How much the newest answer moves a model's average."""

_MEDIA_MARKS = (b";base64,", b'"data":"', b'"data": "')


def tokens_of_text(length: int) -> int:
    """Tokens in a text of ``length`` characters, or bytes: a fourth, rounded up."""
    return -(-length // BYTES_PER_TOKEN)


def estimate_input(body: bytes) -> int:
    """Input tokens of a request: a fourth of its bytes, each long base64 string counted `MEDIA_TOKENS`."""
    length = len(body)
    if length <= LONG_BASE64:
        return tokens_of_text(length)
    media = 0
    for mark in _MEDIA_MARKS:
        start = body.find(mark)
        while start >= 0:
            start += len(mark)
            end = body.find(b'"', start)
            if end < 0:
                break
            if end - start > LONG_BASE64:
                length -= end - start
                media += 1
            start = body.find(mark, end)
    return tokens_of_text(length) + media * MEDIA_TOKENS


def estimate_output(asked: int | None, learned: float) -> int:
    """Output tokens of a request: what its model usually writes, at most what the request allows."""
    usual = round(learned)
    return usual if asked is None else min(asked, usual)


class OutputAverages:
    """What models usually write: a moving average of output tokens for each."""

    __slots__ = ("_averages",)

    def __init__(self) -> None:
        self._averages: Bounded[_Average] = Bounded(_Average)

    def of(self, model: str) -> float:
        """Average output tokens of ``model``; `UNKNOWN_OUTPUT` if it has not answered yet."""
        average = self._averages.get(model)
        return UNKNOWN_OUTPUT if average is None else average.value

    def learn(self, model: str, tokens: int) -> None:
        """``model`` has written a whole answer of ``tokens``."""
        average = self._averages[model]
        average.value += LEARNING * (tokens - average.value)


class _Average:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = UNKNOWN_OUTPUT
