"""What a dialect of clients is: how their requests become chats, and how answers become theirs again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.api import ApiError, Call, Usage

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose answer is to be told in the client's dialect."""

    body: Mapping[str, Any]
    """As the client sent it."""
    call: Call
    """The chat that was made of it, addressed to one model."""
    input_tokens: int
    """An estimate: what streams begin with before anybody knows the figure."""


class Encoder(Protocol):
    """Tells one answer, a chat's, in the client's dialect. Each attempt has its own.

    An exception while it reads means that the upstream's answer is not what it should be. `whole` and `end`
    are asked more than once, with another cost, and change nothing.
    """

    def whole(self, completion: Mapping[str, Any], usage: Usage, cost: int | None) -> bytes:
        """The body that says what ``completion``, a ``chat.completion``, does. ``cost``: in nano-dollars,
        None if unknown."""

    def events(self, chunk: Mapping[str, Any]) -> bytes:
        """The events that the next ``chat.completion.chunk`` makes; maybe none."""

    def end(self, usage: Usage, cost: int | None) -> bytes:
        """The last events of a complete stream, with its usage, and whatever terminates it."""

    def broken(self, error: ApiError, request_id: str) -> bytes:
        """The last events of a stream that cannot go on."""


class Assembler(Protocol):
    """Puts a stream in the client's dialect together to a whole answer. Both raise `replay.Inexact`."""

    def feed(self, stream: bytes) -> None:
        """The next piece."""

    def whole(self) -> Json:
        """The answer that all of it made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDialect:
    """All that the request path has to know of a dialect; nothing in it does I/O."""

    name: str
    """The provider operation that serves it natively."""
    limits: tuple[str, ...] = ()
    """The parameters that limit the output, in tokens; the first that is there counts."""
    headers: tuple[str, ...] = ()
    """Request headers that belong to the dialect: a provider that speaks it gets them (`Call.headers`)."""
    id_header: str | None = None
    """Where its clients look for the request id, beside ``x-request-id``."""
    unheeded: frozenset[str] = frozenset({"stream"})
    """Parameters that make no difference to the answer, or none that cannot be made afterwards."""

    wants_usage: Callable[[Mapping[str, Any]], bool] = lambda body: False
    """Whether the client of a stream asked for a chunk with usage; dialects that name it anyway say no."""
    answers: Callable[[Mapping[str, Any]], int] = lambda body: 1
    """How many answers the request asks for at once."""
    opening: Callable[[Mapping[str, Any]], Any] | None = None
    """How a conversation begins: JSON values that stay the same from turn to turn."""

    to_chat: Callable[[Mapping[str, Any]], tuple[Json, tuple[str, ...]]] | None = None
    """The request as a chat, and the parameters it loses on the way. Raises `Unsupported`. None where no
    provider serves it by way of a chat; with it goes ``encoder``."""
    encoder: Callable[[Asked], Encoder] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """What the client calls a parameter of the chat, where that is another name."""

    error_body: Callable[[ApiError, str], Json]
    """The body of an error answer; given the request id."""
    error_event: Callable[[ApiError, str], bytes]
    """The event that ends a stream which cannot go on, where no encoder has begun it."""
    keepalive: bytes = b": keepalive\n\n"
    """What goes out while the upstream is silent: whole events."""
    done: bytes
    """What ends a stream that came in the client's dialect, unless its reader held the end back."""

    usage: Callable[[Usage], Json]
    """The figures as the dialect writes them."""
    with_cost: Callable[[bytes, int | None], bytes]
    """An answer or event that names usage, with the cost (nano-dollars) added to it, otherwise as it is."""
    as_stream: Callable[[Mapping[str, Any], bool], bytes]
    """The events that say what a whole answer says, their end included; with usage if asked for."""
    assembly: Callable[[], Assembler]
    complete: Callable[[Mapping[str, Any]], bool] | None = None
    """Whether a whole answer is all there is to it; None where each is. May raise `AttributeError`,
    `LookupError`, `TypeError` or `ValueError` for what is of another shape."""

    def named(self, param: str) -> str:
        """What the client calls ``param`` of the chat, or a field in it (``messages.name``)."""
        head, dot, rest = param.partition(".")
        return f"{self.names.get(head, head)}{dot}{rest}"
