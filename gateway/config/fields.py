"""The types of single settings: how each is read from YAML, and how the published schema describes it.

Numbers and switches take text only where it came by substitution: quoted in the file, ``"5"`` is text.
"""

from __future__ import annotations

import ipaddress
import math
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr, WithJsonSchema

from gateway.config import listen
from gateway.config.substitute import Substituted

DURATION = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"
TEN_YEARS = 3650 * 86400
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhd])")
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_T = TypeVar("_T")
_RESERVED_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "upgrade"})


def _whole(value: Any) -> int:
    if isinstance(value, Substituted) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a whole number")


def _number(value: Any) -> float:
    if isinstance(value, int | float | Substituted) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise ValueError("must be a number")


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | float | Substituted) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite():
            return number
    raise ValueError("must be a number")


def _flag(value: Any) -> bool:
    if isinstance(value, Substituted) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def _seconds(value: Any) -> float:
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * _UNITS[match[2]]
    try:
        return _number(value)
    except ValueError:
        raise ValueError('must be a duration such as "250ms", "30s", "5m", "1h", "1d", or seconds') from None


def _unquoted_version(value: Any) -> Any:
    return str(value) if isinstance(value, float) else value


def _secret(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str):
        raise ValueError("must be text: put it in quotes")
    if not value:
        raise ValueError("is empty")
    return value


def _credential(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("holds a space, a line break or another character that cannot be in a key")
    return value


def _blank_is_none(value: Any) -> Any:
    return None if value == "" else value


def _some(value: tuple[_T, ...]) -> tuple[_T, ...]:
    if not value:
        raise ValueError("must hold at least one entry")
    return value


def _filled(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("is empty or holds control characters")
    return value


def _url(value: str) -> str:
    """As it was read, for what came by substitution is not shown."""
    if not isinstance(value, str):
        raise ValueError("must be text: put it in quotes")
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError("is not a valid URL") from None
    if not valid or not value.isprintable() or " " in value:
        raise ValueError("must be a URL that begins with http:// or https://")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must be a URL without user, query or fragment")
    return value


def _listen(value: str) -> str:
    listen.parse(value)
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError("must be an IP address or a network such as 10.0.0.0/8") from None
    return value


def _workers(value: Any) -> int | str:
    if value == "auto":
        return "auto"
    if (workers := _whole(value)) < 1:
        raise ValueError('must be at least 1, or "auto"')
    return workers


def _moment(value: Any) -> datetime:
    """A date is its midnight; without a zone it is UTC."""
    try:
        if isinstance(value, datetime):
            moment = value
        elif isinstance(value, str) and not value.isdigit():
            moment = datetime.fromisoformat(value)
        else:
            moment = datetime.fromtimestamp(_number(value), UTC)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError('must be a time such as "2027-01-31T12:00:00Z", or seconds since 1970') from None


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
            raise ValueError(f'"{name[:40]}" cannot be set as a header')
        if not text.isprintable():
            raise ValueError(f'the header "{name[:40]}" holds a line break or a control character')
    return value


_SECONDS_SCHEMA = WithJsonSchema(
    {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": DURATION}]}
)

Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, Field(ge=0, le=10**15), BeforeValidator(_whole)]
"""A whole number; where it limits something 0 means no limit."""
Positive = Annotated[int, Field(ge=1, le=10**9), BeforeValidator(_whole)]
Ratio = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number)]
Weight = Annotated[float, Field(gt=0, le=10**6), BeforeValidator(_number)]
Factor = Annotated[float, Field(ge=1, le=100), BeforeValidator(_number)]
Seconds = Annotated[float, Field(ge=0, le=TEN_YEARS), BeforeValidator(_seconds), _SECONDS_SCHEMA]
Duration = Annotated[float, Field(gt=0, le=TEN_YEARS), BeforeValidator(_seconds), _SECONDS_SCHEMA]
"""Seconds, more than none."""
Dollars = Annotated[
    Decimal,
    Field(ge=0, le=10**9),
    BeforeValidator(_decimal),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
Unquoted = BeforeValidator(_unquoted_version)
"""Lets a version number stand without quotes."""
Text = Annotated[str, AfterValidator(_filled)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]
"""An id: letters, digits, dot, dash and underscore, at most 64."""
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
Credential = Annotated[Secret, AfterValidator(_credential)]
"""A secret that travels in a header."""
BlankIsNone = BeforeValidator(_blank_is_none)
"""Makes empty text as good as none: for what an unset variable's empty default may switch off."""
NotEmpty = AfterValidator(_some)
Url = Annotated[str, PlainValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
Address = Annotated[str, AfterValidator(_listen)]
Network = Annotated[str, AfterValidator(_network)]
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}]}),
]
Workers = Annotated[
    int | str,
    BeforeValidator(_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
]
