"""A message for the page that follows an action: from us, once, in any process."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from http.cookies import SimpleCookie

from aiohttp.test_utils import make_mocked_request

from gateway.admin.login import COOKIE
from gateway.admin.pages.flash import FLASH_COOKIE, Flash, Kind, read_flash, see_other


def flashed(text: str, kind: Kind = "done", secret: str = "") -> str:
    """The cookie that comes with the redirect."""
    request = make_mocked_request("POST", "/ui/x", headers={"cookie": f"{COOKIE}=the-session"})
    response = see_other(request, "/ui/", text, kind, secret)
    assert (response.status, response.headers["location"]) == (303, "/ui/")
    return SimpleCookie(response.cookies.output(header=""))[FLASH_COOKIE].value


def seen(cookie: str, token: str = "the-session") -> Flash | None:
    headers = {"cookie": f"{COOKIE}={token}; {FLASH_COOKIE}={cookie}"}
    return read_flash(make_mocked_request("GET", "/ui/", headers=headers))


def test_what_an_action_says_is_read_by_the_next_page() -> None:
    assert seen(flashed("Added “ü”; <b>.")) == Flash("done", "Added “ü”; <b>.")
    assert seen(flashed("No.", "failed")) == Flash("failed", "No.")
    assert seen(flashed("x" * 5000)) == Flash("done", "x" * 500)


def test_what_another_made_is_not_shown() -> None:
    cookie = flashed("Hello")
    assert seen(cookie, token="another-session") is None
    for i in range(0, len(cookie), 7):
        assert seen(cookie[:i] + ("A" if cookie[i] != "A" else "B") + cookie[i + 1 :]) is None
    assert seen("W10=.") is None
    assert seen("") is None


def test_a_key_that_was_made_is_for_the_next_page_alone() -> None:
    cookie = flashed("Made.", secret="sk-coo-canary")
    assert seen(cookie) == Flash("done", "Made.", "sk-coo-canary")
    assert b"canary" not in urlsafe_b64decode(cookie)
    assert seen(cookie, token="another-session") is None
    assert len(flashed("ü" * 500, secret="x" * 100)) < 4000


def test_an_action_without_words_sets_nothing() -> None:
    request = make_mocked_request("POST", "/ui/x")
    assert FLASH_COOKIE not in see_other(request, "/ui/").cookies
