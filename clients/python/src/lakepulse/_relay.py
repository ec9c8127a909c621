"""The relay: the browser tracker's way to ingest, through its own app's origin.

A page can post to its own app only. The relay takes the tracker's batches and its count question there, puts the
signed-in user on every event (what the page says about the user is dropped) and passes them on under the app's key.

Bounds: body 1 MiB, 1000 events, ``relay_concurrency`` exchanges at a time, ``relay_timeout`` seconds each. While
ingest does not answer, the breaker answers 503 at once: a page's batches must not tie up the app's workers.
"""

from __future__ import annotations

import json
import math
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, NoReturn, Optional
from urllib.parse import parse_qsl, urlencode, urlsplit

from ._answers import retry_after
from ._client import Client
from ._endpoints import USAGE_COUNT_PATH, USAGE_EVENTS_PATH
from ._record import text
from ._transport import Answer, Unreachable

MAX_BODY = 1 << 20
MAX_EVENTS = 1000
_MOST_DROPPED = 10**12
_MAX_QUERY = 4096
_PASSED_ON = frozenset((200, 202, 400, 413, 429, 503))

# The codes of the relay's own refusals, which are the server's (clients/spec/errors.json).
ERRORS = {
    "invalid_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "unsupported_media": 415,
    "service_unavailable": 503,
}
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


class Asked(NamedTuple):
    """One request to the relay, free of ASGI and WSGI."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """With lower-case names."""
    user_id: Optional[str]
    body: bytes = b""


class Reply(NamedTuple):
    """The answer to the page."""

    status: int
    headers: Dict[str, str]
    body: bytes


class Refusal(Exception):
    """The relay's own answer instead of ingest's."""

    allow = ""
    """The method that the path takes, for a 405."""

    def __init__(self, error: str, message: str, retry_after: Optional[int] = None, **more: Any) -> None:
        super().__init__(message)
        self.status = status = ERRORS[error]
        self.retry_after = retry_after
        self.body = {"error": error, "message": message, "status_code": status, **more}


def relay_path(path: str) -> Optional[str]:
    """Return which of the relay's paths a full path ends in, None for another."""
    for known in (USAGE_EVENTS_PATH, USAGE_COUNT_PATH):
        if path.endswith(known):
            return known
    return None


def from_own_page(headers: Mapping[str, str]) -> bool:
    """Report whether a request that writes comes from a page of this app, or from no browser at all.

    ``text/plain`` needs no preflight: without this check any site could post in the name of its visitor. Browsers send
    ``Sec-Fetch-Site`` to https and localhost only, and ``Origin`` with every POST. ``X-Forwarded-Host`` counts beside
    ``Host``, which proxies rewrite: a page cannot add it to a request that needs no preflight.
    """
    site = headers.get("sec-fetch-site", "")
    if site:
        return site in ("same-origin", "none")
    origin = headers.get("origin", "")
    if not origin:
        return True
    try:
        host = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    own = (headers.get("host", ""), headers.get("x-forwarded-host", ""))
    return bool(host) and host in [name.strip().lower() for name in own]


# The headers that the relay reads besides those of the identity.
RELAY_HEADERS = frozenset(("content-length", "content-encoding", "sec-fetch-site", "origin", "host", "x-forwarded-host"))


class Relay:
    """Answers for the relay's paths. Safe for use by threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.after_fork()
        client.on_fork(self)

    def after_fork(self) -> None:
        """Start with all places free: the threads that held them do not exist in a child."""
        self._lock = threading.Lock()
        self._busy = 0
        self._failures = 0
        self._closed_until = 0.0

    def check(self, asked: Asked) -> None:
        """Raise :class:`Refusal` where the answer does not depend on the body, so that none is read in vain."""
        if not asked.path:
            raise Refusal("not_found", "There is no such path here")
        allowed = "POST" if asked.path == USAGE_EVENTS_PATH else "GET"
        if asked.method != allowed:
            refusal = Refusal("method_not_allowed", f"Use {allowed}")
            refusal.allow = allowed
            raise refusal
        if not self._client.enabled:
            raise unavailable("No collector is configured: set url= or LAKEPULSE_URL", 60)
        if asked.method == "POST" and not from_own_page(asked.headers):
            raise Refusal("forbidden", "Events are taken from the app's own pages only")
        if not asked.user_id:
            raise Refusal("unauthenticated", self._nobody())
        if asked.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise Refusal("unsupported_media", "The body must not be compressed")
        length = asked.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and (len(length) > 10 or int(length) > MAX_BODY):
            raise too_large()

    def _nobody(self) -> str:
        """Say what to set when nobody is signed in: the page's console is where a developer looks first."""
        ways = ["in Databricks Apps the proxy names the user"]
        if not self._has_credentials():
            ways.append("on your own machine set LAKEPULSE_DEV_USER (or dev_user=) to your e-mail address")
        ways.append("elsewhere give user_id=, a function that returns the signed-in user")
        if not self._client.options.trust_forwarded:
            ways.append(
                "behind a proxy that sets X-Forwarded-Email itself set LAKEPULSE_TRUST_FORWARDED=true "
                "(or trust_forwarded=True)"
            )
        return "Nobody is signed in: " + "; ".join(ways)

    def start(self, asked: Asked, done: Callable[[Reply], None]) -> None:
        """Pass a checked request on in a thread of its own; ``done`` is called there, once.

        Raises :class:`Refusal` when the body is no batch, when ingest is known to be away, or when too many are
        under way.
        """
        send = self._prepare(asked)
        self._enter()
        try:
            threading.Thread(target=self._run, args=(send, done), name="lakepulse-relay", daemon=True).start()
        except RuntimeError:
            self._leave(None)
            raise unavailable("Too busy to take events", 1) from None

    def answer(self, asked: Asked) -> Reply:
        """Pass a checked request on and wait for the reply, never longer than the time limit."""
        replies: List[Reply] = []
        ready = threading.Event()

        def done(reply: Reply) -> None:
            replies.append(reply)
            ready.set()

        try:
            self.start(asked, done)
        except Refusal as refusal:
            return refused(refusal, asked)
        # The transport limits each network step; this limits the whole exchange.
        ready.wait(self._client.options.relay_timeout)
        return replies[0] if replies else refused(unavailable("Events cannot be taken now", 5), asked)

    def _prepare(self, asked: Asked) -> Callable[[], Reply]:
        user_id = asked.user_id or ""
        headers = forwarded(asked)
        timeout = self._client.options.relay_timeout
        if not self._has_credentials():
            # A collector in dev mode knows no keys; it takes the user from here.
            headers["X-Forwarded-Email"] = user_id.encode("utf-8").decode("latin-1")
        if asked.path == USAGE_EVENTS_PATH:
            body = batch_for(asked.body, user_id, self._client.options.app_name)
            headers["Content-Type"] = "application/json"
            return lambda: self._reply(asked, self._client.transport.post(asked.path, body, timeout, headers))
        path = f"{asked.path}?{self._question(asked.query, user_id)}"
        return lambda: self._reply(asked, self._client.transport.get(path, timeout, headers))

    def _has_credentials(self) -> bool:
        return bool(self._client.options.api_key or self._client.options.token_provider)

    def _question(self, query: str, user_id: str) -> str:
        if len(query) > _MAX_QUERY:
            raise invalid("query", f"must be at most {_MAX_QUERY} characters")
        pairs = [(name, value) for name, value in parse_qsl(query, max_num_fields=50) if name != "user_id"]
        if self._has_credentials():
            pairs.append(("user_id", user_id))
        return urlencode(pairs)

    def _run(self, send: Callable[[], Reply], done: Callable[[Reply], None]) -> None:
        reply: Optional[Reply] = None
        healthy: Optional[bool] = False
        try:
            reply = send()
            healthy = reply.status < 500
        except Unreachable as error:
            self._client.throttle.warn("relay", "ingest does not answer the relay: %s", error)
        except Exception as error:  # a fault of ours: the page must get an answer all the same
            healthy = None
            self._client.throttle.warn("relay fault", "the relay failed: %r", error)
        finally:
            self._leave(healthy)
            done(reply or problem(unavailable("Events cannot be taken now", self._pause())))

    def _reply(self, asked: Asked, answer: Answer) -> Reply:
        if answer.status not in _PASSED_ON or not answer.is_json():
            # Not the page's fault: the app's key, its token, the address, or a proxy on the way, whose page must not
            # be shown as the app's. The page keeps its events until that is mended.
            self._client.throttle.warn(
                "relay answer",
                "the relay got status %d: check url, api_key and token_provider",
                answer.status,
            )
            return refused(unavailable("The app cannot deliver events now", 30), asked)
        headers = {"Content-Type": "application/json"}
        asked_for = retry_after(answer, self._client.options.clock())
        if asked_for is not None:
            headers["Retry-After"] = str(math.ceil(asked_for))
        elif answer.status in (429, 503):
            headers["Retry-After"] = "5"
        correlation = asked.headers.get("x-correlation-id") or answer.headers.get("X-Correlation-ID")
        return Reply(answer.status, with_correlation(headers, correlation), answer.body)

    def _enter(self) -> None:
        with self._lock:
            if time.monotonic() < self._closed_until:
                raise unavailable("Events cannot be taken now", self._pause())
            if self._busy >= self._client.options.relay_concurrency:
                raise unavailable("Too busy to take events", 1)
            self._busy += 1
            if self._failures:
                # This exchange tests whether ingest is back; until it ends the others are refused at once.
                self._closed_until = time.monotonic() + self._client.options.relay_timeout

    def _leave(self, healthy: Optional[bool]) -> None:
        with self._lock:
            self._busy -= 1
            if healthy:
                self._failures, self._closed_until = 0, 0.0
            elif healthy is False:
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 10))
                self._failures += 1
                self._closed_until = time.monotonic() + pause

    def _pause(self) -> int:
        return max(1, int(self._closed_until - time.monotonic() + 0.999))


def batch_for(body: bytes, user_id: str, app: Optional[str]) -> bytes:
    """Return the page's batch with the signed-in user on each event; raise :class:`Refusal` if it is no batch.

    Every spelling of ``user_id`` and ``app`` is removed before: decoders that ignore case would else let a page name
    a user after all. For the same reason only the known members of the outer object are passed on.
    """
    whole = parse(body)
    events = whole.get("events") if isinstance(whole, dict) else None
    if not isinstance(whole, dict) or not isinstance(events, list) or not events:
        raise invalid("events", "must be a list of at least one event")
    if len(events) > MAX_EVENTS:
        detail = f"Batch size exceeds maximum of {MAX_EVENTS} events"
        more = {"detail": detail, "max_batch_size": MAX_EVENTS, "received": len(events)}
        raise Refusal("payload_too_large", detail, None, **more)
    passed: Dict[str, Any] = {"events": [stamped(event, user_id, app) for event in events]}
    dropped = whole.get("dropped")
    if isinstance(dropped, int) and not isinstance(dropped, bool) and dropped > 0:
        passed["dropped"] = min(dropped, _MOST_DROPPED)
    return json.dumps(passed, separators=(",", ":")).encode("ascii")


def stamped(event: object, user_id: str, app: Optional[str]) -> object:
    """Return an event with its user. What is no object stays as it is: ingest refuses it, with its index."""
    if not isinstance(event, dict):
        return event
    replaced = ("user_id", "app")  # without a name, the app is the key's
    # casefold also catches letters that only look foreign to ASCII, such as the long s.
    kept = {name: value for name, value in event.items() if name.casefold() not in replaced}
    kept["user_id"] = user_id
    if app is not None:
        kept["app"] = app
    return kept


def parse(body: bytes) -> object:
    """Decode JSON strictly: no NaN, no depth that exhausts the stack."""

    def no_constant(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        return json.loads(body, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise invalid("body", "must be valid JSON") from None


def forwarded(asked: Asked) -> Dict[str, str]:
    """Return the page's headers that go on to ingest: its correlation id."""
    correlation = asked.headers.get("x-correlation-id") or asked.headers.get("x-request-id")
    return with_correlation({}, correlation)


def with_correlation(headers: Dict[str, str], correlation: Optional[str]) -> Dict[str, str]:
    """Add a correlation id that is fit for a header."""
    correlation = text(correlation)
    if correlation and correlation.isascii() and correlation.isprintable():
        headers["X-Correlation-ID"] = correlation[:128]
    return headers


def invalid(field: str, rule: str) -> Refusal:
    """Return the refusal of a request that breaks a rule."""
    return Refusal("invalid_request", f"{field}: {rule}", None, details={"field": field})


def too_large() -> Refusal:
    """Return the refusal of a body over the limit."""
    detail = f"The body exceeds {MAX_BODY} bytes"
    return Refusal("payload_too_large", detail, None, detail=detail, max_body_bytes=MAX_BODY)


def unavailable(message: str, retry_after: int) -> Refusal:
    """Return the refusal after which the tracker tries again."""
    return Refusal("service_unavailable", message, retry_after)


def problem(refusal: Refusal) -> Reply:
    """Turn a refusal into a reply."""
    headers = {"Content-Type": "application/json"}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == 405:
        headers["Allow"] = refusal.allow
    return Reply(refusal.status, headers, json.dumps(refusal.body).encode("ascii"))


def refused(refusal: Refusal, asked: Asked) -> Reply:
    """Turn a refusal into a reply with the request's correlation id."""
    reply = problem(refusal)
    with_correlation(reply.headers, asked.headers.get("x-correlation-id"))
    return reply
