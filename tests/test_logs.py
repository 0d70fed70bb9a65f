"""Operational log lines: one harmless JSON object each, and nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import logs
from gateway.logs import JsonFormatter, LogHandler, StderrSink, configure, encode, rfc3339


class Pipe:
    """A stderr of our own."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read(self) -> bytes:
        """Everything up to the end, which is when `end` was called."""
        with os.fdopen(self.reader, "rb", closefd=False) as file:
            return file.read()

    def end(self) -> None:
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reader)


def logger_for(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("coo_llm.test", logging.DEBUG)
    logger.addHandler(handler)
    return logger


def formatted(message: str, *args: object, **given: Any) -> dict[str, Any]:
    record = logging.Logger("coo_llm.test").makeRecord(
        "coo_llm.test", 30, "x.py", 7, message, args, None, **given
    )
    fields: dict[str, Any] = orjson.loads(JsonFormatter().format(record))
    return fields


def test_the_order_of_fields() -> None:
    fields = formatted(
        "key %s cools", "k-1", extra={"provider": "openai", "request_id": "r-1", "seconds": 2.5}
    )
    assert list(fields) == ["time", "level", "message", "request_id", "provider", "seconds", "logger"]
    assert fields["level"] == "warning"
    assert fields["message"] == "key k-1 cools"
    assert fields["seconds"] == 2.5


def test_an_extra_cannot_take_the_place_of_a_field() -> None:
    fields = formatted("true", extra={"time": "never", "level": "debug"})
    assert fields["message"] == "true"
    assert fields["level"] == "warning"
    assert fields["time"].endswith("Z")


def test_time_is_utc_with_milliseconds() -> None:
    assert rfc3339(1_700_000_000.123) == "2023-11-14T22:13:20.123Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "text", ['\r\n{"level":"info"}', "\x1b[31m", "\x7f\x85\x9b", "\u2028\u2029", "\u202eabc\u2066"]
)
def test_control_characters_never_reach_the_line(text: str) -> None:
    line = encode({"message": text, text: 1})
    assert line.isascii()
    assert not any(byte < 0x20 or byte == 0x7F for byte in line)
    assert orjson.loads(line) == {"message": text, text: 1}


texts = st.text(st.sampled_from('a"\\\n\r\0\x1b\x7f\x85\u2028\u202e\ud800\udfff☃😀'))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=4))
@settings(max_examples=100)
def test_anything_becomes_one_line_of_json(fields: dict[str, Any]) -> None:
    line = encode(fields)
    assert isinstance(orjson.loads(line), dict)
    assert len(line.decode().splitlines()) == 1


def test_long_strings_are_cut_between_characters() -> None:
    cut = orjson.loads(encode({"message": "é" * 5000}))["message"]
    assert len(cut.encode()) <= 2048
    assert cut == "é" * 1022 + "…"
    assert orjson.loads(encode({"message": "a" * 2048}))["message"] == "a" * 2048


def test_a_value_that_holds_itself_ends() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert encode({"loop": loop})


@pytest.mark.parametrize(
    "text",
    [
        "sk-CANARYCANARY",
        "sk-proj-CANARY_CANARY-1",
        "Authorization: Bearer CANARYCANARY",
        "AIzaCANARYCANARY",
        "https://host/?key=CANARYCANARY",
        "x-api-key: CANARYCANARY",
        '{"api_key": "CANARY"}',
        "password=CANARY",
        "line\nsk-CANARYCANARY",
        '"line\\nsk-CANARYCANARY"',
        '"line\\u0085sk-CANARYCANARY"',
        "PASSWORD=CANARY",
        '{\\"api_key\\": \\"CANARY\\"}',
        "'secret': 'CANARY'",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    for fields in ({"message": text}, {"deep": [{"in": text}]}, {text: 1}):
        assert b"CANARY" not in encode(fields)


def test_fields_named_like_secrets_are_masked() -> None:
    line = encode({"api_key": "CANARY", "Authorization": "CANARY", "config": {"admin_password": "CANARY"}})
    assert b"CANARY" not in line


@pytest.mark.parametrize(
    "text", ["key k-1a2b3c4d of openai cools", "risk-assessments", "tokens: 123456", "the secret is out"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert orjson.loads(encode({"message": text}))["message"] == text


def test_an_exception_says_where_but_shows_no_values(pipe: Pipe) -> None:
    def call(password: str) -> None:
        raise ValueError("it broke, with Bearer CANARYCANARY")

    handler = LogHandler(pipe.writer)
    try:
        call("CANARY")
    except ValueError:
        logger_for(handler).exception("request failed")
    handler.close()
    pipe.end()
    text = pipe.read()
    assert b"CANARY" not in text
    fields = orjson.loads(text)
    assert fields["error"] == "ValueError: it broke, with Bearer ***"
    assert fields["traceback"][-1].endswith(".call")
    assert "test_logs.py:" in fields["traceback"][-1]


@pytest.mark.parametrize("before", ["", "x" * (logs.MAX_STRING - 40)], ids=["whole", "cut"])
def test_what_an_exception_says_has_none_of_the_known_secrets(before: str) -> None:
    secret = "/CANARY of ours, which looks like none/"
    formatter = JsonFormatter()
    formatter.hide([secret])
    formatter.hide(["another secret"])
    error = RuntimeError(before + secret)
    said = {"error": f"{error}", "all": [{secret: error}]}
    for exc_info, extra in (((RuntimeError, error, None), None), (None, said)):
        record = logging.Logger("coo_llm.test").makeRecord(
            "coo_llm.test", 40, "x.py", 7, f"it had {secret}", (), exc_info, extra=extra
        )
        line = formatter.format(record)
        assert "[removed]" in line
        assert "CANARY" not in line


def test_a_line_that_cannot_be_formatted_is_named(pipe: Pipe) -> None:
    handler = LogHandler(pipe.writer)
    logger_for(handler).info("%d", "CANARY")
    handler.close()
    pipe.end()
    fields = orjson.loads(pipe.read())
    assert fields["message"] == "a log line could not be formatted"
    assert "test_logs.py:" in fields["where"]


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_the_journal_gets_priorities(pipe: Pipe, level: int, priority: int) -> None:
    stat = os.fstat(pipe.writer)
    handler = LogHandler(pipe.writer, {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
    logger_for(handler).log(level, "x")
    handler.close()
    pipe.end()
    assert pipe.read().startswith(b'<%d>{"time"' % priority)


def test_another_stream_gets_none(pipe: Pipe) -> None:
    handler = LogHandler(pipe.writer, {"JOURNAL_STREAM": "1:2"})
    logger_for(handler).info("x")
    handler.close()
    pipe.end()
    assert pipe.read().startswith(b"{")


def test_a_complaint_is_plain_text_with_a_priority_for_the_journal(capfd: pytest.CaptureFixture[str]) -> None:
    stat = os.fstat(2)
    logs.complain("one\ntwo", logging.WARNING, {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
    logs.complain("three", environ={})
    assert capfd.readouterr().err == "<4>one\n<4>two\nthree\n"


@pytest.mark.parametrize("bound", [{"QUEUE_LINES": 20}, {"QUEUE_BYTES": 20_000}])
def test_a_blocked_reader_costs_lines_not_time(
    bound: dict[str, int], pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bound.items():
        monkeypatch.setattr(logs, name, value)
    handler = LogHandler(pipe.writer)
    lost: list[tuple[str, int]] = []
    handler.dropped = lambda sink, count: lost.append((sink, count))
    logger = logger_for(handler)
    for number in range(500):
        logger.info("%d %s", number, "x" * 1000)
    assert set(lost) == {("stderr", 1)}
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read()))
    reader.start()
    handler.close()
    pipe.end()
    reader.join()
    assert received[0].count(b"\n") == 500 - len(lost)


def test_a_closed_stderr_is_counted(pipe: Pipe) -> None:
    handler = LogHandler(pipe.writer)
    lost: list[int] = []
    handler.dropped = lambda sink, count: lost.append(count)
    pipe.end()
    logger_for(handler).info("x")
    handler.close()
    assert lost == [1]


def test_every_line_is_forwarded(pipe: Pipe) -> None:
    handler = LogHandler(pipe.writer)
    forwarded: list[bytes] = []
    handler.forward = forwarded.append
    logger_for(handler).info("x")
    handler.close()
    pipe.end()
    assert pipe.read() == forwarded[0] + b"\n"


def test_finished_lines_share_stderr(pipe: Pipe) -> None:
    handler = LogHandler(pipe.writer)
    sink = StderrSink(handler)
    asyncio.run(sink.write([b"{}", b"[]"]))
    asyncio.run(sink.close())
    handler.close()
    pipe.end()
    assert pipe.read() == b"{}\n[]\n"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_configure_sends_all_loggers_through_one_handler(pipe: Pipe, root: logging.Logger) -> None:
    handler = configure("warning", pipe.writer)
    logging.getLogger("anyone").warning("seen")
    logging.getLogger("anyone").info("not seen")
    handler.close()
    pipe.end()
    [line] = pipe.read().splitlines()
    assert orjson.loads(line)["logger"] == "anyone"
    assert root.handlers == [handler]


@pytest.mark.parametrize(
    ("message", "error", "said"),
    [
        (
            "Fatal error on SSL protocol\nprotocol: …",
            RuntimeError("unable to …; the handler is closed"),
            False,
        ),
        ("Fatal error on SSL protocol\nprotocol: …", RuntimeError("a bug"), True),
        ("Exception in callback", RuntimeError("unable to …; the handler is closed"), True),
        ("Fatal error on SSL protocol", None, True),
    ],
)
def test_a_tls_connection_that_was_given_up_is_no_error(
    message: str, error: Exception | None, said: bool
) -> None:
    root = logging.getLogger()
    former, level = list(root.handlers), root.level
    configure("info").close()
    root.handlers[:] = former
    root.setLevel(level)
    exc_info = None if error is None else (type(error), error, None)
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, message, (), exc_info)
    assert bool(logging.getLogger("asyncio").filter(record)) == said
