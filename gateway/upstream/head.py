"""Request heads, written by hand: what repeats is looked up, what could inject a line is refused."""

from __future__ import annotations

from string import ascii_letters, digits

from gateway.api.provider import Upstream
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.target import Target, parse

CACHED = 4096
"""Entries a cache may have before it starts anew. In use are a few per configured model."""

OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that frame the message or belong to the connection: nobody else sets them."""

BODILESS = frozenset({"GET", "HEAD"})
"""Methods whose requests say nothing about a body they do not have."""

_TOKEN = frozenset(ascii_letters + digits + "!#$%&'*+-.^_`|~")


class HeadWriter:
    """Writes request heads, remembering the URLs and field names it has checked."""

    __slots__ = ("_labels", "_targets")

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._labels: dict[str, str] = {}

    def target(self, url: str) -> Target:
        """Where ``url`` leads. Raises `UpstreamFailure` (INVALID) for a URL that cannot be requested."""
        target = self._targets.get(url)
        if target is None:
            target = parse(url)
            if len(self._targets) >= CACHED:
                self._targets.clear()
            self._targets[url] = target
        return target

    def write(self, request: Upstream, target: Target) -> bytes:
        """The head of ``request``, blank line included.

        Raises `UpstreamFailure` (INVALID) for a method, field name or value that is not HTTP.
        """
        method, body, labels = request.method, request.body, self._labels
        if not (method.isascii() and method.isalpha()):
            raise _refused("its method is not a word")
        lines = [f"{method} {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nAccept-Encoding: identity"]
        for name, value in request.headers:
            lines.append((labels.get(name) or self._label(name)) + value)
        if request.form is not None:
            lines.append(f"Content-Length: {len(request.form)}")
        elif body or method not in BODILESS:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        # One look at the whole instead of one at each value: every line break must be one of ours.
        breaks = len(lines) + 3
        if head.count("\r") != breaks or head.count("\n") != breaks or "\0" in head:
            raise _refused("a header field holds a line break or NUL")
        try:
            return head.encode()
        except UnicodeEncodeError:
            raise _refused("a header field holds characters that are not text") from None

    def _label(self, name: str) -> str:
        if not name or not _TOKEN.issuperset(name):
            raise _refused("the name of a header field holds characters that no name may have")
        if name.lower() in OURS:
            raise _refused(f"the header field {name} is the sender's own to set")
        if len(self._labels) >= CACHED:
            self._labels.clear()
        label = self._labels[name] = f"{name}: "
        return label


def _refused(why: str) -> UpstreamFailure:
    return UpstreamFailure(FailureKind.INVALID, f"The request cannot be sent: {why}.")
