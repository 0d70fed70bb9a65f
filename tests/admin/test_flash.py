"""A message for the page that follows an action: from us, once, in any process."""

from __future__ import annotations

from http.cookies import SimpleCookie

from aiohttp.test_utils import make_mocked_request

from gateway.admin.login import COOKIE
from gateway.admin.pages.flash import FLASH_COOKIE, Flash, Kind, read_flash, see_other


def flashed(text: str, kind: Kind = "done", token: str = "the-session") -> str:
    """The cookie that comes with the redirect."""
    request = make_mocked_request("POST", "/ui/x", headers={"cookie": f"{COOKIE}={token}"})
    response = see_other(request, "/ui/", text, kind)
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
    assert seen(cookie[:-1] + ("0" if cookie[-1] != "0" else "1")) is None
    assert seen("W10=.") is None
    assert seen("") is None


def test_an_action_without_words_sets_nothing() -> None:
    request = make_mocked_request("POST", "/ui/x")
    assert FLASH_COOKIE not in see_other(request, "/ui/").cookies
