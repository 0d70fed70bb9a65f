"""Why an exchange with an upstream failed, in words that hold no address and no key."""

from __future__ import annotations

from enum import StrEnum


class FailureKind(StrEnum):
    """What went wrong between us and the upstream; an HTTP status is never a failure here."""

    CONNECT = "connect"
    """No address of the host took the connection."""
    DNS = "dns"
    """The host's name has no address."""
    TLS = "tls"
    """The handshake failed or the certificate is not to be trusted."""
    RESET = "reset"
    """The connection was closed before the head of the answer was complete, or reset at any time."""
    TRUNCATED = "truncated"
    """The connection was closed in an orderly way in the middle of the body."""
    INVALID = "invalid"
    """The answer is not HTTP we accept, or the request cannot be written as HTTP."""
    TOO_LARGE = "too_large"
    """The decoded body is larger than the client takes."""
    TIMEOUT = "timeout"
    """No connection within the connect timeout (look-up and TLS handshake included)."""


class UpstreamFailure(Exception):
    """An exchange that brought no whole answer."""

    def __init__(self, kind: FailureKind, message: str, *, answered: bool = False) -> None:
        """``answered``: whether any byte of the answer had come, so that the call may have been billed."""
        super().__init__(message)
        self.kind = kind
        self.answered = answered
