"""What the dashboard serves from files: its own, by a manifest, or a directory in its place."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.admin.pages.static import FOLDER
from tests.admin.browsing import Browser, browsing
from tests.admin.calling import administered
from tests.daemon.raw import exchange, message
from tests.daemon.running import running


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with running(administered(), tmp_path) as gateway, browsing(gateway) as browser:
        yield browser


async def test_static_files_are_kept_for_ever_at_addresses_that_change(browser: Browser) -> None:
    page = await browser.get("/ui/login")
    urls = re.findall(r'(?:href|src)="(/ui/static/[^"]+)"', page.text)
    assert len(urls) == 3
    for url in urls:
        answer = await browser.get(url)
        assert answer.status == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await browser.get(url, if_none_match=answer.headers["etag"])
        assert (again.status, again.text) == (304, "")
        head = await browser.send("HEAD", url)
        assert (head.status, head.text) == (200, "")
        assert (await browser.get(re.sub("static/.{16}", "static/" + "0" * 16, url))).status == 404


async def test_no_script_of_ours_makes_html_of_text() -> None:
    scripts = list(FOLDER.glob("*.js"))
    assert scripts
    for path in scripts:
        text = path.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
            assert word not in text, f"{path.name}: {word}"


TRAVERSALS = [
    "/ui/static/../../../../etc/passwd",
    "/ui/../../etc/passwd",
    "/ui/static/%2e%2e/%2e%2e/login.py",
    "/ui/static/..%5c..%5cetc%5cpasswd",
    "/ui/static/0/vendor/uplot/LICENSE",
    "/ui/static/app.css%00.html",
    "/ui//etc/passwd",
    "/ui/%2fetc%2fpasswd",
]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("path", TRAVERSALS)
async def test_nothing_else_is_ever_served(tmp_path: Path, path: str, own: bool) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "index.html").write_text("own")
    server = {"webui": {"web_ui_path": str(folder)}} if own else {}
    async with running(administered(server=server), tmp_path) as gateway:
        answer = await exchange(gateway.port, message(f"GET {path}"))
        assert answer.status in (303, 400, 404)
        assert b"root:" not in answer.body and b"import" not in answer.body


async def test_a_directory_in_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>own</h1>")
    (folder / "sub" / "index.html").write_text("<h1>sub</h1>")
    (folder / "app.js").write_text("own()")
    (folder / ".secret").write_text("hidden")
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "inner.js").symlink_to(folder / "app.js")
    config = administered(server={"webui": {"web_ui_path": str(folder)}})
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        answer = await browser.get("/ui")
        assert (answer.status, answer.location) == (308, "/ui/")
        for path, text, type in (
            ("/ui/", "<h1>own</h1>", "html"),
            ("/ui/sub/", "<h1>sub</h1>", "html"),
            ("/ui/app.js", "own()", "javascript"),
            ("/ui/inner.js", "own()", "javascript"),
        ):
            answer = await browser.get(path)
            assert (answer.status, answer.text) == (200, text)
            assert answer.headers["content-type"].partition(";")[0].endswith(type)
            assert answer.headers["x-content-type-options"] == "nosniff"
        for path in ("/ui/link.txt", "/ui/.secret", "/ui/nothing", "/ui/login"):
            assert (await browser.get(path)).status == 404
        assert (await browser.send("POST", "/ui/app.js")).status == 405
        gateway.write(administered(server={"webui": {}}))
        await gateway.post_reload()
        assert (await browser.get("/ui/login")).status == 200


async def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    config = administered(server={"webui": {"web_ui_path": str(tmp_path / "gone")}})
    async with running(config, tmp_path) as gateway, browsing(gateway) as browser:
        assert (await browser.get("/ui/")).status == 404


def test_rows_are_made_with_pauses_for_requests() -> None:
    templates = list((FOLDER.parent / "templates").glob("*.html"))
    loops = [
        (path.name, loop[1])
        for path in templates
        for loop in re.finditer(r"{% for ([^%]+) %}\n(?:\s*{% set [^\n]*\n)*\s*<tr", path.read_text())
    ]
    assert len(loops) >= 15
    assert [loop for loop in loops if not loop[1].endswith("| paced")] == []
