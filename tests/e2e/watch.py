"""What no page may do: complain in the console, fail in a script, or ask another host."""

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, WebError

#: Chromium reports every answer of 4xx and 5xx as an error of the page; these are part of the API.
API = ("/avaliar", "/avaliacoes", "/politica", "/modelo", "/lotes")


class Watch:
    """Keeps every complaint about the pages of one context."""

    def __init__(self, context: BrowserContext, host: str) -> None:
        self.host = host
        self.complaints: list[str] = []
        context.on("console", self._hear)
        context.on("weberror", self._catch)
        context.on("request", self._see)

    def take(self) -> list[str]:
        """Return the complaints so far, and forget them."""
        taken, self.complaints = self.complaints, []
        return taken

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _is_an_answer(message):
            self.complaints.append(f"console: {message.text}")

    def _catch(self, error: WebError) -> None:
        self.complaints.append(f"script: {error.error}")

    def _see(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != self.host:
            self.complaints.append(f"another host: {request.url}")


def _is_an_answer(message: ConsoleMessage) -> bool:
    path = urlsplit(message.location["url"]).path
    return message.text.startswith("Failed to load resource") and path.startswith(API)
