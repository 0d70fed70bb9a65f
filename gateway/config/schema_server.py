"""``server:``: where the gateway listens, how much it takes in and who may administer it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.config.fields import (
    Address,
    BlankIsNone,
    Credential,
    Duration,
    Flag,
    Network,
    Positive,
    Seconds,
    Secret,
    Text,
    Unquoted,
    Whole,
    Workers,
)
from gateway.config.section import Section


class Tls(Section):
    """The certificate; both files are read again when they are renewed."""

    cert_file: Text
    key_file: Text
    min_version: Annotated[Literal["1.2", "1.3"], Unquoted] = "1.2"


class Cors(Section):
    """Which web pages may call the client API."""

    enabled: Flag = False
    allowed_origins: tuple[Text, ...] = ("*",)
    allowed_methods: tuple[Text, ...] = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
    allowed_headers: tuple[Text, ...] = ("*",)
    allow_credentials: Flag = False
    max_age: Whole = 86400


class WebUi(Section):
    """The dashboard."""

    enabled: Flag = True
    admin_id: Text = "admin"
    admin_password: Annotated[Secret | None, BlankIsNone] = None
    """Plain or as printed by ``coo-llm hash-password``; None: the admin key."""
    web_ui_path: Annotated[Text | None, BlankIsNone] = None
    """A directory to serve in its place."""
    hosts: tuple[Text, ...] = ()
    """Host names, besides the machine's own, under which a browser reaches it without TLS."""


class Server(Section):
    """The server as a whole."""

    listen: Address = ":2906"
    workers: Workers = 1
    admin_api_key: Annotated[Credential | None, BlankIsNone] = None
    """None: the admin API and the dashboard are off."""
    admin_listen: Annotated[Address | None, BlankIsNone] = None
    allow_anonymous: Flag = False
    drain_timeout: Seconds = 30.0
    max_body_mb: Positive = 32
    max_inflight: Whole = 0
    """0: derived from the limit on open files."""
    sse_keepalive: Duration = 15.0
    trusted_proxies: tuple[Network, ...] = ()
    tls: Tls | None = None
    admin_rate_limit: Whole = 100
    max_upload_mb: Positive = 200
    cors: Cors = Field(default=Cors())
    webui: WebUi = Field(default=WebUi())
