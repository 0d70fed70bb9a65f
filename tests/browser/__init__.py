"""The dashboard in Debian's Chromium, in front of the real daemon.

How to write a page test: take ``page``, a browser's page that is logged in to the gateway ``busy`` and
watched. Whatever a page must never do fails the test at its end: an error in the console, a script that
throws, a breach of the content security policy, a request to another address, one that fails, a script of
somebody else's that ran::

    async def test_a_key_can_be_disabled(page: Page) -> None:
        await page.goto("/ui/providers")
        await page.get_by_role("button", name="Disable").first.click()
        await expect(page.get_by_text("disabled by an operator")).to_be_visible()
        await accessible(page)

- Addresses are relative. Live pages never stop loading: wait for what is to be seen (``expect``).
- ``view`` sets theme and width; ``@pytest.mark.parametrize("view", VIEWS, ids=str)`` is all there are.
- Where an error is what the test is about, take ``watch``, too, and say so: ``watch.expect("404")``.
- ``busy`` is shared by all tests and has clients, keys and traffic to look at. A test that counts, or spoils
  it for others, starts a gateway of its own (``serving``) and asks ``visit`` for a page of that.
- ``hostile`` is a gateway whose names are all out to do harm, ``large`` one with 100,000 records (with
  ``--long`` a million): ``await visit(hostile)`` is a page there.
- ``test_every_page.py`` finds new pages by the menu and the links on them, and pictures them in
  ``build/screenshots``: nothing to add there.
"""
