"""What a page of the dashboard must never do, noticed as it happens."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Request, Response

_ABORTED = "net::ERR_ABORTED"
"""What becomes of a live stream when its page is left."""
_SCRIPT = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
globalThis.stranger = () => console.error("a stranger's script ran");
"""
"""`stranger` is what hostile names try to call."""


class Watch:
    """Keeps what goes wrong in one test's pages."""

    def __init__(self) -> None:
        self._expected: list[str] = []
        self._complaints: list[str] = []

    def expect(self, text: str) -> None:
        """Complaints that hold ``text`` are what the test is about."""
        self._expected.append(text)

    def check(self) -> None:
        """Fail if there is anything to complain of."""
        left = [one for one in self._complaints if not any(text in one for text in self._expected)]
        assert not left, "\n".join(left)

    async def over(self, context: BrowserContext, base: str) -> None:
        """Watch every page of ``context``, which may ask ``base`` alone."""

        def asked(request: Request) -> None:
            if not request.url.startswith((f"{base}/", "data:", "blob:")):
                self._complain(f"foreign address: {request.url}")

        await context.add_init_script(_SCRIPT)
        context.on("dialog", self._dialog)
        context.on("console", self._console)
        context.on("weberror", lambda error: self._complain(f"script failed: {error.error}"))
        context.on("request", asked)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def _complain(self, text: str) -> None:
        self._complaints.append(text)

    async def _dialog(self, dialog: Dialog) -> None:
        self._complain(f"a dialog opened: {dialog.message}")
        await dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complain(f"console {message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != _ABORTED:
            self._complain(f"request failed: {urlsplit(request.url).path}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self._complain(f"status {response.status}: {urlsplit(response.url).path}")
