"""WSGI: middleware and relay for Flask, Dash, Django, Bottle and the like.

    app.wsgi_app = LakepulseWSGIMiddleware(app.wsgi_app, url="http://127.0.0.1:8080", app_name="orders")

For Flask and Dash :func:`lakepulse.flask.init_flask` does the same and also learns exceptions and users.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from ._callbacks import UPDATE_PATH
from ._client import CLIENT_DISCONNECTED, Client, Exchange
from ._current import CURRENT
from ._endpoints import clean_template
from ._record import IDENTITY_HEADERS, Identity, identity_from, signed_in_user, text
from ._relay import MAX_BODY, RELAY_HEADERS, Asked, Refusal, Relay, Reply, invalid, refused, relay_path, too_large, unavailable

Environ = Dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]
UserCallback = Callable[[Environ], Optional[str]]

ERROR_KEY = "lakepulse.error_type"
RULE_KEY = "lakepulse.rule"
USER_KEY = "lakepulse.user_id"
ROUTED_KEY = "lakepulse.routed"
OUTPUT_KEY = "lakepulse.dash_output"

_BODY_LESS = (204, 304)
_STREAM = "text/event-stream"
_PHRASES = {
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
}
_ENVIRON_NAMES: List[Tuple[str, str]] = [
    ("HTTP_" + name.upper().replace("-", "_"), name)
    for name in sorted(IDENTITY_HEADERS | RELAY_HEADERS - {"content-length"})
] + [("CONTENT_LENGTH", "content-length")]


def _decoded(value: str) -> str:
    """WSGI texts are bytes in disguise (PEP 3333)."""
    return value if value.isascii() else value.encode("latin-1", "replace").decode("utf-8", "replace")


def _headers(environ: Environ) -> Dict[str, str]:
    return {name: _decoded(environ[key]) for key, name in _ENVIRON_NAMES if environ.get(key)}


def learn_output(environ: Environ, rule: str, request: Any) -> None:
    """Keep which of Dash's callbacks was asked. Dash has read the body by now, and Flask keeps what it read."""
    if rule.endswith(UPDATE_PATH) and OUTPUT_KEY not in environ:
        body = request.get_json(silent=True)
        output = body.get("output") if isinstance(body, dict) else None
        if isinstance(output, str):
            environ[OUTPUT_KEY] = output


class _Request(Exchange):
    """One HTTP request of a WSGI app."""

    __slots__ = ("environ", "path", "script", "user_callback", "promised")

    def __init__(self, client: Client, environ: Environ, path: str, user_callback: Optional[UserCallback]) -> None:
        super().__init__(client)
        self.environ = environ
        self.path = path
        self.script: str = environ.get("SCRIPT_NAME", "")
        self.user_callback = user_callback
        self.promised: Optional[int] = None
        """The Content-Length that the app has announced."""

    def method(self) -> str:
        return str(self.environ.get("REQUEST_METHOD", "GET"))

    def endpoint(self) -> str:
        if self.route is not None:
            return self.route
        self.learn_rule()
        rule = self.environ.get(RULE_KEY)
        if isinstance(rule, str):
            script: str = self.environ.get("SCRIPT_NAME", "")
            mounted_at = script[len(self.script) :] if script.startswith(self.script) else ""
            endpoint = clean_template(_decoded(mounted_at) + rule)
            output = self.environ.get(OUTPUT_KEY)
            return endpoint if output is None else self.client.name_callback(endpoint, output, self.status)
        return self.client.name_path(self.path, self.status, routed=ROUTED_KEY in self.environ)

    def learn_rule(self) -> None:
        """Keep the rule that matched. Werkzeug's request is in environ only while Flask (or Dash) is at work."""
        request = self.environ.get("werkzeug.request")
        if hasattr(request, "url_rule"):
            self.environ[ROUTED_KEY] = True  # Flask: what has no rule was matched by none
        rule = getattr(getattr(request, "url_rule", None), "rule", None)
        if rule is not None:
            self.environ[RULE_KEY] = rule
            learn_output(self.environ, rule, request)

    def identity(self) -> Identity:
        identity = identity_from(_headers(self.environ), self.client.options.trust_forwarded is True)
        if USER_KEY in self.environ:
            return identity._replace(user_id=text(self.environ[USER_KEY]))
        if self.user_callback is None:
            return identity
        return identity._replace(user_id=_user(self.client, self.user_callback, self.environ))

    def note_failure(self, error: BaseException) -> None:
        self.status, self.error_type = 500, type(error).__name__

    def finish(self) -> None:
        """Record the request as it stands."""
        if self.error_type is None and self.status >= 400:
            self.error_type = self.environ.get(ERROR_KEY)
        self.client.finish(self)


class _Body:
    """Passes a response's chunks on and records the request at their end."""

    def __init__(self, request: _Request, chunks: Iterable[bytes]) -> None:
        self._request = request
        self._chunks = chunks
        self._iterator: Iterator[bytes] = iter(chunks)
        self._whole = False
        self._sent = 0

    def __iter__(self) -> "Iterator[bytes]":
        return self

    def __next__(self) -> bytes:
        current = CURRENT.set(self._request)  # a generator is the app's code, too
        try:
            chunk = next(self._iterator)
        except StopIteration:
            self._whole = True
            self._request.finish()
            raise
        except BaseException as error:
            self._whole = True
            self._request.note_failure(error)
            self._request.finish()
            raise
        finally:
            CURRENT.reset(current)
        self._sent += len(chunk)
        return chunk

    def _has_all(self) -> bool:
        request = self._request
        if self._whole or request.method() == "HEAD" or request.status in _BODY_LESS:
            return True
        return request.promised is not None and self._sent >= request.promised

    def close(self) -> None:
        """Called by the server in the end; before the last chunk it means that the client has gone."""
        request = self._request
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        finally:
            if not self._has_all():
                request.status, request.error_type = 499, CLIENT_DISCONNECTED
            request.finish()


class LakepulseWSGIMiddleware:
    """Records one performance record per request of ``app``, and answers for the relay's paths.

    ``client`` is shared with others or made from ``options`` (see :class:`lakepulse.Options`). ``user_id`` is called
    with the environ at the end of each request (and at the start of a relayed one) and returns the signed-in user or
    None; by default the headers of the Databricks Apps proxy tell. ``relay=False`` leaves the relay out.
    """

    def __init__(
        self,
        app: WSGIApp,
        client: Optional[Client] = None,
        *,
        user_id: Optional[UserCallback] = None,
        relay: bool = True,
        **options: Any,
    ) -> None:
        if client is not None and options:
            raise TypeError("lakepulse: give either a client or its options")
        self.app = app
        self.client = client or Client(**options)
        self._user_id = user_id
        self._relay = LakepulseWSGIRelay(self.client, user_id=user_id) if relay and self.client.enabled else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not self.client.enabled:
            return self.app(environ, start_response)
        path = _decoded(environ.get("PATH_INFO", "")) or "/"
        if self._relay is not None and relay_path(path) == path:
            return self._relay(environ, start_response)
        if self.client.exclusions.excludes(path):
            return self.app(environ, start_response)
        return self._measure(_Request(self.client, environ, path, self._user_id), environ, start_response)

    def _measure(self, request: _Request, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        streams = False

        def watch_start(status: str, headers: List[Tuple[str, str]], *exc_info: Any) -> Any:
            nonlocal streams
            request.learn_rule()
            request.status = int(status[:3]) if status[:3].isdigit() else 500
            request.promised = _content_length(headers)
            streams = any(n.lower() == "content-type" and v.startswith(_STREAM) for n, v in headers)
            return start_response(status, headers, *exc_info)

        self.client.begin(request)
        current = CURRENT.set(request)
        try:
            chunks = self.app(environ, watch_start)
        except BaseException as error:
            request.note_failure(error)
            request.finish()
            raise
        finally:
            CURRENT.reset(current)
        if streams or _goes_as_it_is(environ, chunks):
            request.finish()
            return chunks
        return _Body(request, chunks)


class LakepulseWSGIRelay:
    """The relay as a WSGI app of its own, for apps that mount it themselves."""

    def __init__(
        self, client: Optional[Client] = None, *, user_id: Optional[UserCallback] = None, **options: Any
    ) -> None:
        if client is not None and options:
            raise TypeError("lakepulse: give either a client or its options")
        self.client = client or Client(**options)
        self._user_id = user_id
        self._relay = Relay(self.client)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        reply = self._reply(environ)
        headers = list(reply.headers.items())
        headers += [("Content-Length", str(len(reply.body))), ("Cache-Control", "no-store")]
        start_response(f"{reply.status} {_PHRASES.get(reply.status, 'Status')}", headers)
        return [reply.body]

    def _reply(self, environ: Environ) -> Reply:
        asked = self._asked(environ)
        try:
            self._relay.check(asked)
            if asked.method == "POST":
                asked = asked._replace(body=_read_body(environ))
            return self._relay.answer(asked)
        except Refusal as refusal:
            return refused(refusal, asked)

    def _asked(self, environ: Environ) -> Asked:
        path = _decoded(environ.get("PATH_INFO", ""))
        headers = _headers(environ)
        if self._user_id is not None:
            user = _user(self.client, self._user_id, environ)
        else:
            user = signed_in_user(headers, self.client.options.trust_forwarded is True)
        return Asked(
            method=environ.get("REQUEST_METHOD", "GET"),
            path=relay_path(path) or relay_path(_decoded(environ.get("SCRIPT_NAME", "")) + path) or "",
            query=environ.get("QUERY_STRING", ""),
            headers=headers,
            user_id=user or self.client.options.dev_user,
        )


def _read_body(environ: Environ) -> bytes:
    length = environ.get("CONTENT_LENGTH") or ""
    if length:
        try:
            size = int(length)
        except ValueError:
            raise invalid("Content-Length", "must be a number") from None
        body: bytes = environ["wsgi.input"].read(max(0, min(size, MAX_BODY + 1)))
        if len(body) < size <= MAX_BODY:
            raise invalid("body", "is not complete")
    elif environ.get("wsgi.input_terminated"):
        body = environ["wsgi.input"].read(MAX_BODY + 1)
    else:
        # Without a length, reading could wait for ever on a connection that is kept alive.
        raise invalid("Content-Length", "is required")
    if len(body) > MAX_BODY:
        raise too_large()
    return body


def _content_length(headers: List[Tuple[str, str]]) -> Optional[int]:
    for name, value in headers:
        if name.lower() == "content-length":
            return int(value) if value.isdigit() else None
    return None


def _goes_as_it_is(environ: Environ, chunks: Iterable[bytes]) -> bool:
    """Report whether a body must reach the server unwrapped: servers ask lists for their length and send files by
    sendfile. Such a request is recorded when its response starts."""
    if isinstance(chunks, (list, tuple)):
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(chunks, wrapper)


def _user(client: Client, callback: UserCallback, environ: Environ) -> Optional[str]:
    try:
        return text(callback(environ))
    except Exception as error:  # the app's code must not break the app by way of ours
        client.throttle.warn("user_id", "the user_id callback raised %r", error)
        return None
