"""Transport: one HTTP exchange with ingest, bounded in time and size."""

from __future__ import annotations

import gzip
import http.client
import json
import urllib.error
import urllib.request
from email.message import Message
from typing import Any, Dict, Mapping, NamedTuple, Optional

from ._options import Options
from ._version import __version__

_MAX_ANSWER = 1 << 20
_MIN_GZIP = 512


class Unreachable(Exception):
    """No answer came: refused, timed out, cut off, or no token to ask with. Trying again makes sense."""


class Answer(NamedTuple):
    """An answer of ingest."""

    status: int
    headers: Message
    body: bytes

    def is_json(self) -> bool:
        """Report whether the body is JSON."""
        try:
            json.loads(self.body)
        except (ValueError, RecursionError):
            return False
        return True

    def json(self) -> Dict[str, Any]:
        """Return the body as an object, an empty one when it is none (a proxy's page, for example)."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The Apps proxy answers a missing token with a redirect to a sign-in page, which then answers 200:
    following it would take the page for an acceptance."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Transport:
    """Sends to one ingest. Safe for use by several threads."""

    def __init__(self, options: Options) -> None:
        self._options = options
        # Proxies of the environment only: asking macOS for its settings is not safe in a forked process.
        proxies = urllib.request.ProxyHandler(urllib.request.getproxies_environment())  # type: ignore[attr-defined]
        self._opener = urllib.request.build_opener(_NoRedirects, proxies)

    def post(self, path: str, body: bytes, timeout: float, headers: Optional[Mapping[str, str]] = None) -> Answer:
        """Post a JSON body, compressed where that pays."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if len(body) >= _MIN_GZIP:
            body = gzip.compress(body, 5)
            sent["Content-Encoding"] = "gzip"
        return self._exchange("POST", path, body, timeout, sent)

    def get(self, path: str, timeout: float, headers: Optional[Mapping[str, str]] = None) -> Answer:
        """Ask a question."""
        return self._exchange("GET", path, None, timeout, headers or {})

    def _exchange(
        self, method: str, path: str, body: Optional[bytes], timeout: float, headers: Mapping[str, str]
    ) -> Answer:
        request = urllib.request.Request(
            f"{self._options.url}{path}", data=body, headers={**self._own_headers(), **headers}, method=method
        )
        try:
            try:
                with self._opener.open(request, timeout=max(timeout, 0.05)) as response:
                    return Answer(response.status, response.headers, response.read(_MAX_ANSWER))
            except urllib.error.HTTPError as refusal:
                with refusal:
                    return Answer(refusal.code, refusal.headers, refusal.read(_MAX_ANSWER))
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        except ValueError:
            # A header that HTTP does not allow. Its text repeats the header, which may be the token: say nothing of it.
            raise Unreachable("a header is not valid; look at token_provider") from None

    def _own_headers(self) -> Dict[str, str]:
        headers = {"User-Agent": f"lakepulse-python/{__version__}", "Accept": "application/json"}
        if self._options.api_key:
            headers["X-Lakepulse-Key"] = self._options.api_key
        if self._options.token_provider is not None:
            try:
                token = self._options.token_provider()
            except Exception as error:  # the app's code: whatever it raises means "no token now"
                raise Unreachable(f"token_provider raised {type(error).__name__}") from error
            headers["Authorization"] = token if " " in token else f"Bearer {token}"
        return headers
