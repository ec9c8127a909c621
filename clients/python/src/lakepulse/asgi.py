"""ASGI: middleware and relay for FastAPI, Starlette, Quart, Gradio and the like.

    app.add_middleware(LakepulseMiddleware, url="http://127.0.0.1:8080", app_name="orders")

The relay needs asyncio's loop (uvicorn, hypercorn and gunicorn's uvicorn workers run it); the middleware needs none.
"""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Dict, List, MutableMapping, Optional, Tuple

from ._callbacks import MOST_READ, UPDATE_PATH, output_in
from ._client import CLIENT_DISCONNECTED, Client, Exchange
from ._current import CURRENT
from ._endpoints import clean_template
from ._record import IDENTITY_HEADERS, Identity, identity_from, signed_in_user, text
from ._relay import MAX_BODY, RELAY_HEADERS, Asked, Refusal, Relay, Reply, invalid, refused, relay_path, too_large, unavailable
from ._routes import path_within, root_before_routing, router_of, template_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
UserCallback = Callable[[Scope], Optional[str]]

_READ_HEADERS = IDENTITY_HEADERS | RELAY_HEADERS
_HEADER_NAMES: Dict[bytes, str] = {name.encode("ascii"): name for name in _READ_HEADERS}
_STREAM = b"text/event-stream"
_BODY = ("http.response.body", "http.response.pathsend")


def _headers(scope: Scope) -> Dict[str, str]:
    """Collect the headers we read. The first of a repeated header counts, as the proxy writes its own first."""
    found: Dict[str, str] = {}
    for name, value in scope.get("headers") or ():
        known = _HEADER_NAMES.get(name)
        if known is not None and known not in found:
            try:
                found[known] = value.decode("utf-8")
            except UnicodeDecodeError:
                found[known] = value.decode("latin-1")
    return found


def _path(scope: Scope) -> str:
    return path_within(scope.get("path") or "/", scope.get("root_path") or "")


class _Request(Exchange):
    """One HTTP request of an ASGI app."""

    __slots__ = ("scope", "raw_path", "receive", "gone", "ended", "user_callback", "_promised", "_sent", "_read")

    def __init__(self, client: Client, scope: Scope, receive: Receive, user_callback: Optional[UserCallback]) -> None:
        super().__init__(client)
        self.scope = scope
        self.raw_path: str = scope.get("path") or "/"
        self.receive = receive
        self.gone = False
        self.ended = False
        self.user_callback = user_callback
        self._promised: Optional[int] = None
        self._sent = 0
        # Dash names the callback in the body.
        self._read: Optional[bytearray] = bytearray() if self.raw_path.endswith(UPDATE_PATH) else None

    def method(self) -> str:
        return str(self.scope.get("method", "GET"))

    def endpoint(self) -> str:
        if self.route is not None:
            return self.route
        template = template_of(self.scope, self.raw_path)
        if template is not None:
            endpoint = clean_template(template)
            output = None if self._read is None else output_in(bytes(self._read))
            return endpoint if output is None else self.client.name_callback(endpoint, output, self.status)
        path = path_within(self.raw_path, root_before_routing(self.scope))
        return self.client.name_path(path, self.status, routed=router_of(self.scope) is not None)

    def identity(self) -> Identity:
        identity = identity_from(_headers(self.scope), self.client.options.trust_forwarded is True)
        if self.user_callback is None:
            return identity
        return identity._replace(user_id=_user(self.client, self.user_callback, self.scope))

    def disconnected(self) -> bool:
        """Report whether the client has gone. Apps that never look would hide it, but uvicorn's request knows."""
        return self.gone or getattr(getattr(self.receive, "__self__", None), "disconnected", False) is True

    async def watch_receive(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.disconnect" and not self.ended:
            self.gone = True
        if self._read is not None and len(self._read) < MOST_READ:
            self._read += message.get("body", b"")[:MOST_READ]
        return message

    def start_response(self, message: Message) -> None:
        """Note the status and how long the body will be, if the app has said."""
        self.status = message["status"]
        without_body = self.method() == "HEAD" or self.status in (204, 304)
        self._promised = 0 if without_body else _content_length(message)

    def ends_with(self, message: Message) -> bool:
        """Report whether a part of the body is the last: it says so, or the promised length is reached.

        What an app does after that (closing a file, a generator's clean-up) is no part of the response, so a client
        that leaves meanwhile has its whole answer.
        """
        if message["type"] == "http.response.pathsend" or not message.get("more_body", False):
            return True
        self._sent += len(message.get("body", b""))
        return self._promised is not None and self._sent >= self._promised

    def note_disconnect(self) -> None:
        self.status, self.error_type = 499, CLIENT_DISCONNECTED

    def note_failure(self, error: BaseException) -> None:
        """Book what came out of the app instead of the rest of a response."""
        kind = type(error).__name__
        if isinstance(error, asyncio.CancelledError) or (
            self.disconnected() and (isinstance(error, OSError) or kind in ("ClientDisconnect", CLIENT_DISCONNECTED))
        ):
            # Servers cancel the app when its client has gone.
            self.note_disconnect()
        else:
            self.status, self.error_type = 500, kind


class LakepulseMiddleware:
    """Records one performance record per HTTP request of ``app``, and answers for the relay's paths.

    ``client`` is shared with others or made from ``options`` (see :class:`lakepulse.Options`). ``user_id`` is called
    with the scope at the end of each request (and at the start of a relayed one) and returns the signed-in user or
    None; by default the headers of the Databricks Apps proxy tell. ``relay=False`` leaves the relay out.
    """

    def __init__(
        self,
        app: ASGIApp,
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
        self._relay = LakepulseRelay(self.client, user_id=user_id) if relay and self.client.enabled else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan" and self.client.enabled:
            await self._lifespan(scope, receive, send)
            return
        if kind != "http" or not self.client.enabled:
            await self.app(scope, receive, send)
            return
        path = _path(scope)
        if self._relay is not None and relay_path(path) == path:
            await self._relay(scope, receive, send)
        elif self.client.exclusions.excludes(path):
            await self.app(scope, receive, send)
        else:
            request = _Request(self.client, scope, receive, self._user_id)
            await self._measure(request, scope, send)

    async def _measure(self, request: _Request, scope: Scope, send: Send) -> None:
        client = self.client
        client.begin(request)

        async def watch_send(message: Message) -> None:
            kind = message["type"]
            if kind == "http.response.start":
                request.start_response(message)
                await send(message)
                if _is_stream(message):
                    # A stream of events stays open as long as the page: its answer is its start.
                    request.ended = True
                    client.finish(request)
            elif kind in _BODY and not request.ended and request.ends_with(message):
                if request.disconnected():
                    request.note_disconnect()
                request.ended = True
                await send(message)
                client.finish(request)
            else:
                await send(message)

        current = CURRENT.set(request)
        try:
            await self.app(scope, request.watch_receive, watch_send)
        except BaseException as error:
            if not request.ended:
                request.note_failure(error)
            raise
        else:
            if not request.ended and request.disconnected():
                request.note_disconnect()
        finally:
            CURRENT.reset(current)
            client.finish(request)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Flush before the server says goodbye: some end by a signal, which runs no exit handlers."""

        async def watch_send(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self._flush()
            await send(message)

        await self.app(scope, receive, watch_send)

    async def _flush(self) -> None:
        timeout = self.client.options.exit_timeout
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # another loop than asyncio's: nothing is served any more, so waiting here is no harm
            self.client.flush(timeout)
            return
        await loop.run_in_executor(None, self.client.flush, timeout)


class LakepulseRelay:
    """The relay as an ASGI app of its own, for apps that mount it themselves.

    It answers where the whole path ends in ``/api/v1/metrics/usage-events`` or ``/api/v1/metrics/usage/count``.
    """

    def __init__(
        self, client: Optional[Client] = None, *, user_id: Optional[UserCallback] = None, **options: Any
    ) -> None:
        if client is not None and options:
            raise TypeError("lakepulse: give either a client or its options")
        self.client = client or Client(**options)
        self._user_id = user_id
        self._relay = Relay(self.client)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("lakepulse: the relay speaks HTTP only")
        reply = await self._reply(scope, receive)
        headers = [(name.encode("ascii").lower(), value.encode("latin-1")) for name, value in reply.headers.items()]
        headers.append((b"content-length", str(len(reply.body)).encode("ascii")))
        headers.append((b"cache-control", b"no-store"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        asked = self._asked(scope)
        try:
            self._relay.check(asked)
            if asked.method == "POST":
                asked = asked._replace(body=await _body(receive))
            return await self._pass_on(asked)
        except Refusal as refusal:
            return refused(refusal, asked)

    def _asked(self, scope: Scope) -> Asked:
        root: str = scope.get("root_path") or ""
        path: str = scope.get("path") or ""
        headers = _headers(scope)
        if self._user_id is not None:
            user = _user(self.client, self._user_id, scope)
        else:
            user = signed_in_user(headers, self.client.options.trust_forwarded is True)
        return Asked(
            method=scope.get("method", "GET"),
            path=relay_path(path) or relay_path(root + path) or "",
            query=(scope.get("query_string") or b"").decode("latin-1"),
            headers=headers,
            user_id=user or self.client.options.dev_user,
        )

    async def _pass_on(self, asked: Asked) -> Reply:
        loop = asyncio.get_running_loop()
        waiting: "asyncio.Future[Reply]" = loop.create_future()

        def arrive(reply: Reply) -> None:
            if not waiting.done():
                waiting.set_result(reply)

        def done(reply: Reply) -> None:
            try:
                loop.call_soon_threadsafe(arrive, reply)
            except RuntimeError:
                # The loop has been closed: nobody waits for the reply any more.
                return

        self._relay.start(asked, done)
        try:
            return await asyncio.wait_for(waiting, self.client.options.relay_timeout)
        except asyncio.TimeoutError:
            return refused(unavailable("Events cannot be taken now", 5), asked)


async def _body(receive: Receive) -> bytes:
    chunks: List[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise invalid("body", "is not complete")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            raise too_large()
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _user(client: Client, callback: UserCallback, scope: Scope) -> Optional[str]:
    try:
        return text(callback(scope))
    except Exception as error:  # the app's code must not break the app by way of ours
        client.throttle.warn("user_id", "the user_id callback raised %r", error)
        return None


def _content_length(start: Message) -> Optional[int]:
    for name, value in start.get("headers") or ():
        if name.lower() == b"content-length":
            return int(value) if value.isdigit() else None
    return None


def _is_stream(start: Message) -> bool:
    headers: "List[Tuple[bytes, bytes]]" = start.get("headers") or []
    return any(name.lower() == b"content-type" and value.startswith(_STREAM) for name, value in headers)
