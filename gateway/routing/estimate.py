"""How many tokens a request will use, as well as can be said before the upstream does."""

from __future__ import annotations

import string

from gateway.routing.bounded import Bounded

BYTES_PER_TOKEN = 4
MEDIA_BYTES_PER_TOKEN = 256
"""Of images, audio and files in base64: about 1,600 tokens for an image of 300 kB."""
BLOCK = 4096
"""A body is taken for media or text in blocks of so many bytes, by the first `GLANCE` of each."""
GLANCE = 64
UNKNOWN_OUTPUT = 256.0
"""Output tokens of a model that has not answered yet."""
LEARNING = 0.1
"""How much the newest answer moves a model's average."""
LONGEST = 10
"""As many times the average, or `UNKNOWN_OUTPUT` if that is more, count of an answer: one absurd figure of a
provider is not to make every later request look as if no limit had room for it."""

_BASE64 = (string.ascii_letters + string.digits + "+/-_=\\").encode()


def tokens_of_text(length: int) -> int:
    """Tokens in a text of ``length`` characters, or bytes: a fourth, rounded up."""
    return -(-length // BYTES_PER_TOKEN)


def estimate_input(body: bytes) -> int:
    """Input tokens of a request: a fourth of its bytes, but far less of what looks like base64."""
    media = 0
    for start in range(BLOCK, len(body), BLOCK):
        if not body[start : start + GLANCE].translate(None, _BASE64):
            media += BLOCK
    media = min(media, len(body))
    return tokens_of_text(len(body) - media) + media // MEDIA_BYTES_PER_TOKEN


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
        most = LONGEST * max(average.value, UNKNOWN_OUTPUT)
        average.value += LEARNING * (min(tokens, most) - average.value)


class _Average:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = UNKNOWN_OUTPUT
