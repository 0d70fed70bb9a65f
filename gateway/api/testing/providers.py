"""What every provider must hold to: run `check_provider` on yours, with answers its upstream really gave.

Each check raises `AssertionError` with a sentence that says what broke. No test framework is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, is_dataclass
from typing import Any

from gateway.api.errors import Unsupported
from gateway.api.provider import Call, Kind, Outcome, Provider, Upstream
from gateway.api.testing.calls import calls
from gateway.api.usage import Usage

CANARY = "sk-canary-3fa94c7bd21e58607712"
"""The key that is used, and that must turn up in headers only."""

_OPERATIONS = frozenset(
    {"chat", "completions", "embeddings", "responses", "messages", "count_tokens", "moderations", "images"}
    | {"speech", "transcriptions", "translations", "rerank"}
)
_SENDERS_HEADERS = frozenset({"content-length", "host", "connection", "accept-encoding", "transfer-encoding"})
_ERROR = b'{"message":"no: %b","type":"some_error","code":null,"param":null}' % CANARY.encode()
_NO_ANSWERS = (
    b"",
    b"{",
    b"{}",
    b"null",
    b"[]",
    b'"text"',
    b"<html><body>Bad gateway</body></html>",
    b"\xff\xfe\x00",
    b": comment\n\n",
    b"data: {\n\n",
    b"data: null\n\n",
    b"data: [1]\n\n",
    b'{"error":%b}' % _ERROR,
    b'data: {"error":%b}\n\n' % _ERROR,
    b'event: error\ndata: {"type":"error","error":%b}\n\n' % _ERROR,
)
_ERROR_BODIES = (
    *_NO_ANSWERS,
    b'{"error":null}',
    b'{"error":"%b"}' % CANARY.encode(),
    b'{"error":[]}',
    b'{"error":{"message":{"detail":["x"]},"code":401,"type":7,"param":[]}}',
    b'{"detail":[{"loc":["body"],"msg":"field required"}]}',
    b'[{"error":%b}]' % _ERROR,
    b'{"error":{"message":"%b \\n\\u0000\\u2028"}}' % (b"long " * 5000),
    b"[" * 5000,
)
_STATUSES = (
    300,
    307,
    400,
    401,
    402,
    403,
    404,
    405,
    408,
    409,
    413,
    415,
    422,
    429,
    499,
    500,
    501,
    502,
    503,
    504,
    529,
    999,
)
_HEADERS: tuple[Mapping[str, str], ...] = (
    {},
    {"retry-after": "7", "content-type": "application/json"},
    {"retry-after": "-1", "retry-after-ms": "nan", "x-ratelimit-reset-requests": "\0"},
)


@dataclass(frozen=True)
class Sample:
    """The body of an upstream's answer (status 200) to ``call``, complete and without a fault."""

    call: Call
    body: bytes


@dataclass(frozen=True)
class Reading:
    """What came out of a reader, with what may depend on how the bytes were cut joined."""

    raw: bytes
    values: Sequence[Mapping[str, Any]]
    content: bool
    usage: Usage | None
    fault: Kind | None
    complete: bool
    produced: int


def check_provider(provider: Provider, samples: Iterable[Sample] = ()) -> None:
    """All checks."""
    check_settings(provider)
    for operation in provider.operations:
        for call in calls(operation):
            check_prepare(provider, call)
        for call in calls(operation)[:2]:
            check_no_answers(provider, call)
    check_plainest_calls(provider)
    check_diagnose(provider)
    for sample in samples:
        check_reader(provider, sample)


def check_settings(provider: Provider) -> None:
    """A provider is a frozen dataclass, and names what it serves."""
    kind = type(provider)
    _expect(is_dataclass(provider), f"{kind.__name__} is no dataclass: its fields are its settings")
    frozen = is_dataclass(provider) and provider.__dataclass_params__.frozen
    _expect(frozen, f"{kind.__name__} is not frozen: one instance serves everybody")
    operations = provider.operations
    _expect(len(operations) > 0, "it serves no operation")
    _expect(_OPERATIONS.issuperset(operations), f"unknown operations in {sorted(operations)}")
    for operation, dialect in operations.items():
        _expect(isinstance(dialect, str) and dialect != "", f"{operation} has no native dialect")
    for header, (kind, figure) in getattr(provider, "headroom", {}).items():
        _expect(header == header.lower(), f"the header {header} of headroom is not in lower case")
        _expect(kind != "", f"the header {header} of headroom has no kind")
        _expect(figure in ("limit", "remaining", "reset"), f"{header} of headroom is no figure: {figure}")


def check_prepare(provider: Provider, call: Call) -> None:
    """A request is prepared, or `Unsupported` names the parameter; the call stays as it was, the key goes
    into headers only, and the same call gives the same bytes (prompt caches depend on it)."""
    before = deepcopy(call)
    try:
        upstream = provider.prepare(call, CANARY)
        again = provider.prepare(call, CANARY)
    except Unsupported as unsupported:
        refused = unsupported.param.partition(".")[0].partition("[")[0]
        _expect(refused in call.body, f"{unsupported.param!r} is refused, but was not sent")
        return
    finally:
        _expect(call == before, f"prepare changed the call: {before.body}")
    _expect(upstream == again, f"the same call gave two different requests: {call.body}")
    _check_upstream(upstream)
    _expect(CANARY not in repr(provider), "the key is in the provider's repr")
    model = call.model.encode()
    sent = upstream.body if upstream.form is None else b"".join(upstream.form.pieces())
    _expect(model in sent or model in upstream.url.encode(), "the upstream's model is nowhere")


def check_plainest_calls(provider: Provider) -> None:
    """What an operation is there for is supported."""
    for operation in provider.operations:
        try:
            provider.prepare(calls(operation)[0], CANARY)
        except Unsupported as unsupported:
            raise AssertionError(f"{operation} is announced, but refused: {unsupported}") from unsupported


def check_no_answers(provider: Provider, call: Call) -> None:
    """What is no answer never raises, is never complete, and its fault does not repeat keys."""
    any_bytes = call.operation == "speech" and not call.stream
    for body in _NO_ANSWERS[:1] if any_bytes else _NO_ANSWERS:
        reader = provider.reader(call)
        reader.feed(body)
        reader.finish()
        _expect(not reader.complete, f"{body[:60]!r} is taken for a complete answer")
        _expect(reader.fault is not None, f"{body[:60]!r} leaves no fault")
        if reader.fault is not None:
            _check_outcome(reader.fault)


def check_reader(provider: Provider, sample: Sample) -> None:
    """An answer reads the same however it is cut, and one that lacks its end is not complete."""
    body = sample.body
    whole, _ = _read(provider, sample.call, [body])
    _expect(whole.complete and whole.fault is None, f"the sample is not read as complete: {whole.fault}")
    _expect(whole.content, "the sample's content is not marked as such")
    _expect(b"[DONE]" not in whole.raw, "the terminal [DONE] is passed on: the core sends it")
    for at in range(1, len(body)):
        cut, _ = _read(provider, sample.call, [body[:at], body[at:]])
        _expect(cut == whole, f"cut at {at} it reads differently: {body[max(at - 20, 0) : at + 20]!r}")
        part, fault = _read(provider, sample.call, [body[:at]])
        _expect(
            part.complete or fault is not None, f"without its last {len(body) - at} bytes no fault is set"
        )
    bytewise, _ = _read(provider, sample.call, [body[at : at + 1] for at in range(len(body))])
    _expect(bytewise == whole, "byte by byte it reads differently")


def check_diagnose(provider: Provider) -> None:
    """Every answer is diagnosed, whatever it is made of."""
    for status in _STATUSES:
        for body in _ERROR_BODIES:
            for headers in _HEADERS:
                outcome = provider.diagnose(status, headers, body)
                _expect(outcome.status == status, f"status {status} became {outcome.status}")
                _check_outcome(outcome)
        kind = provider.diagnose(status, {}, b"").kind
        _expect(kind in _kinds(status), f"status {status} is diagnosed as {kind.name}")


def _kinds(status: int) -> set[Kind]:
    """What a status without a body can mean."""
    if status >= 500:
        return {Kind.FAILED, Kind.OVERLOADED, Kind.TIMEOUT}
    if status < 400:
        return {Kind.FAILED, Kind.INVALID}
    return {400: {Kind.CALLER}, 401: {Kind.KEY}, 429: {Kind.LIMITED}}.get(status, set(Kind))


def _read(provider: Provider, call: Call, pieces: Iterable[bytes]) -> tuple[Reading, Outcome | None]:
    reader = provider.reader(call)
    chunks = [chunk for piece in pieces for chunk in reader.feed(piece)]
    chunks += reader.finish()
    if (ending := getattr(reader, "ending", None)) is not None:
        chunks.append(ending)
    for chunk in chunks:
        _expect((chunk.value is None) != (chunk.raw == b""), "a chunk is either raw bytes or a value")
        _expect(not chunk.usage or reader.usage is not None, "a chunk with usage came without its figures")
    fault = reader.fault
    return Reading(
        raw=b"".join(chunk.raw for chunk in chunks),
        values=[_timeless(chunk.value) for chunk in chunks if chunk.value is not None],
        content=any(chunk.content for chunk in chunks),
        usage=reader.usage,
        fault=None if fault is None else fault.kind,
        complete=reader.complete,
        produced=reader.produced,
    ), fault


def _timeless(value: Mapping[str, Any]) -> dict[str, Any]:
    """Without the two fields that a translator has to make up."""
    return {name: item for name, item in value.items() if name not in ("id", "created")}


def _check_upstream(upstream: Upstream) -> None:
    _expect(upstream.url.startswith(("http://", "https://", "echo:")), f"no address: {upstream.url}")
    _expect(CANARY not in upstream.url and CANARY.encode() not in upstream.body, "the key is not in a header")
    for name, value in upstream.headers:
        _expect(name.lower() not in _SENDERS_HEADERS, f"{name} is the sender's business")
        _expect((name + value).isprintable(), f"the header {name!r} has control characters")


def _check_outcome(outcome: Outcome) -> None:
    text = f"{outcome.message} {outcome.code} {outcome.param}"
    _expect(outcome.message != "", f"{outcome.kind.name} has no message")
    _expect(CANARY not in text, f"a key is repeated: {outcome.message}")
    _expect(text.isprintable(), f"control characters are repeated: {outcome.message!r}")
    _expect(len(text) < 2000, "the message is longer than anybody reads")
    _expect(outcome.retry_after is None or outcome.retry_after >= 0, "a wait is negative or not a number")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
