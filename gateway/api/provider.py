"""What a provider plugin is: a translator between the gateway and one kind of upstream, without I/O."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, ClassVar, Protocol, runtime_checkable

from gateway.api.usage import Usage

Json = dict[str, Any]


class Body(Protocol):
    """A request body too large to be held as bytes: a multipart form."""

    @property
    def content_type(self) -> str:
        """With the form's boundary."""

    def __len__(self) -> int:
        """Bytes of the whole."""

    def pieces(self) -> Iterator[bytes]:
        """All of it from the start, each time this is called, in pieces of at most some 64 KiB."""


class Upload(Protocol):
    """A multipart form (RFC 7578) as a client sent it."""

    def addressed(self, model: str) -> Body:
        """The same form with ``model`` in the field of this name; all other parts as they came."""


@dataclass(slots=True)
class Call:
    """One attempt: the client's request, addressed to one model of one upstream.

    The canonical form of a chat is OpenAI's, as plain JSON values; ``body`` is in it unless the
    provider speaks the client's ``dialect`` natively.
    """

    operation: str
    """A key of `Provider.operations`: ``chat``, ``completions``, ``embeddings`` …; passed on as they are:
    ``moderations``, ``images``, ``speech``, ``transcriptions``, ``translations`` or ``rerank``."""
    model: str
    """The upstream's name of the model."""
    body: Mapping[str, Any]
    """The request as JSON values. Shared by all attempts: never to be changed in place."""
    stream: bool = False
    include_usage: bool = False
    """Streams: the client asked for the usage chunk. The upstream is asked for it in any case."""
    max_tokens: int | None = None
    """The operator's ceiling for this attempt if the client asked for more, or set no limit; else None."""
    dialect: str = "chat"
    """The dialect the client speaks: the operation's own, or another that was translated to a chat."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the client's request that belong to its dialect, by lower-case name, for a provider that
    speaks it natively. Their values are printable ASCII."""
    upload: Upload | None = None
    """``transcriptions`` and ``translations``: the form that came; ``body`` then has its ``model`` and
    ``response_format`` only."""


@dataclass(slots=True)
class Upstream:
    """A request ready to be sent. Content-Length, Host, Connection and Accept-Encoding are the sender's."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    dropped: tuple[str, ...] = ()
    """Parameters that have no equivalent upstream and whose loss does not change the answer's meaning. The
    core sees to it that their names do no harm in a header."""
    form: Body | None = None
    """Sent in place of ``body``, if there is one."""


@dataclass(slots=True)
class Chunk:
    """A piece of an answer on its way to the client: bytes in its own dialect, or a canonical value."""

    raw: bytes = b""
    """Native: whole SSE events (or the whole JSON body), to be passed on as they are."""
    value: Json | None = None
    """Translated: a ``chat.completion.chunk`` (or whole ``chat.completion``), for the core to encode."""
    content: bool = False
    """Holds output that the client can see; nothing is retried once it went out."""
    usage: bool = False
    """Holds the usage object (``Reader.usage`` is set by now): the core adds ``cost`` to it."""


class Kind(Enum):
    """What an upstream's failure means for the key, the model and the request."""

    CALLER = auto()
    """The request is at fault: the client gets status and message; nothing is retried."""
    MODEL = auto()
    """This provider does not serve the model to us: another provider may."""
    KEY = auto()
    """The key is rejected: it is disabled, tried again after 60 s doubling to 1 h."""
    QUOTA = auto()
    """The key's account has no money left: it is disabled for an hour."""
    LIMITED = auto()
    """The key is rate limited: it cools down for ``retry_after`` seconds."""
    OVERLOADED = auto()
    """The upstream is overloaded: the key cools down; counts against its health."""
    FAILED = auto()
    """The upstream failed (5xx, connection, in-band error): retried elsewhere; counts against its health."""
    TIMEOUT = auto()
    """The upstream was too slow: as FAILED."""
    INVALID = auto()
    """The upstream answered 200 with what is no answer: counts against its health. Whole it was billed, so
    it is not retried; a stream is, before its first content."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The diagnosis of a failed attempt. ``message`` never holds a key or an internal address."""

    kind: Kind
    status: int
    """The upstream's HTTP status; 0 where there was none."""
    message: str
    code: str | None = None
    """CALLER and MODEL: the code for the client, e.g. ``context_length_exceeded``; None: by the kind."""
    param: str | None = None
    retry_after: float | None = None
    """Seconds the upstream asked us to wait, if it did."""


class Reader(Protocol):
    """Reads one answer, whole or streamed. Any split of the bytes gives the same chunks, joined."""

    usage: Usage | None
    """Set when the upstream named its figures; the last ones it named win."""
    fault: Outcome | None
    """Set when the upstream reported an error in-band or broke the format; nothing is read after it."""
    complete: bool
    """Whether the answer reached its proper end: a finish reason, or a whole valid body."""
    produced: int
    """Characters of output so far: what an estimate of output tokens is made from."""

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes of the body; return what they make ready for the client."""

    def finish(self) -> list[Chunk]:
        """The body has ended; return what is left. Sets ``fault`` if the answer is not complete.

        The terminal ``data: [DONE]`` of a stream is never in a chunk: the core sends it.
        """


class EndingReader(Reader, Protocol):
    """A reader for streams that end with an event of their own. The core sends it once the request is on
    record, so it is in no chunk that `feed` and `finish` return."""

    ending: Chunk | None
    """That event, once it came."""


class TerminatedReader(Reader, Protocol):
    """A reader that knows the last event of a stream. Behind it the core hardly waits for the body to end."""

    done: bool
    """That event came: nothing is read after it."""


@dataclass(slots=True)
class Served:
    """The answer of `Serving.serve`: its body is asked for piece by piece, as it is passed on."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class Provider(Protocol):
    """A kind of upstream. Its dataclass fields are its settings; the instance is shared and immutable."""

    @property
    def operations(self) -> Mapping[str, str]:
        """What it serves, and in which dialect natively, as ``{"chat": "messages", "messages": "messages"}``.
        A request in a dialect that is not among them reaches it as a ``chat``, where that can be. A
        class variable, or an attribute where it depends on the settings."""

    def prepare(self, call: Call, secret: str) -> Upstream:
        """Translate the call. Raises `Unsupported` where the upstream has no equivalent for a
        parameter whose loss would change the answer; no other exception for any checked request."""

    def reader(self, call: Call) -> Reader:
        """A fresh reader for the answer to ``call`` (status 2xx)."""

    def diagnose(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Say what a non-2xx answer means. ``headers`` have lower-case names; ``body`` may be anything."""


@runtime_checkable
class Announcing(Provider, Protocol):
    """A provider whose upstream says in the headers of its answers how much of its own limits is left."""

    headroom: ClassVar[Mapping[str, tuple[str, str]]]
    """What each of these headers means, by its lower-case name: a kind of limit (``requests``, ``tokens``),
    and which figure of it: ``limit``, ``remaining`` or ``reset`` (seconds, a duration, or a moment)."""


@runtime_checkable
class Serving(Provider, Protocol):
    """A provider that answers itself, in place of an address (``echo``)."""

    async def serve(self, call: Call, secret: str) -> Served:
        """Answer ``call`` as an upstream of this provider's kind would."""
