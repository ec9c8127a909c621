"""Shiny for Python: one line after the app, for requests, sessions and what each input causes.

    app = App(app_ui, server)
    lakepulse.shiny.measure(app)

In Shiny Express, which makes the app itself, ``lakepulse.shiny.measure()`` at the top of the file measures the session;
the page's HTTP requests and the relay are left out then.

Records, all with method POST:

- ``/shiny/start``: from a session's start until its first outputs are sent.
- ``/shiny/update/{input}``: from a changed input until the outputs that depend on it are sent; the first input of a
  message names it. Status 200, or 500 with the exception's name when an output or effect raised.

A session's start is a ``page_view``; a changed input is ``button_click`` or ``widget_changed`` under its id. Its value is
never read. Events need a user: the headers of the websocket name it. Written against Shiny 1.7 (``App.server``,
``Session.on_flushed``, ``Session.on_ended``, ``AppSession._manage_inputs``, ``set_error`` and ``_unhandled_error``).
"""

from __future__ import annotations

import importlib
import sys
import threading
import uuid
from typing import Any, Callable, Dict, List, Mapping, Optional

from ._client import Client, Exchange
from ._current import CURRENT
from ._endpoints import MAX_ENDPOINT, PathNames
from ._record import IDENTITY_HEADERS, Identity, identifier, identity_from
from .asgi import LakepulseMiddleware

UserCallback = Callable[[Any], Optional[str]]

_START, _UPDATE = "/shiny/start", "/shiny/update"
_PAGE = "/"
_MOST_EVENTS = 20  # per message: a page may send any number of ids

_lock = threading.Lock()
_express: "Optional[_Measuring]" = None


def measure(
    app: Any = None, client: Optional[Client] = None, *, user_id: Optional[UserCallback] = None, **options: Any
) -> Client:
    """Measure a Shiny app, or without ``app`` the Express session under way; return the client.

    ``options``: see :class:`lakepulse.Options`; in Express those of the first session count. ``user_id`` is called with
    the connection (Starlette's ``HTTPConnection``) and returns the signed-in user or None; by default the headers of
    the Databricks Apps proxy tell.
    """
    if client is not None and options:
        raise TypeError("lakepulse: give either a client or its options")
    if app is None:
        return _measure_express(client, user_id, options)
    made = client or Client(**options)
    if made.enabled:
        _follow_app(app, _Measuring(made, user_id))
    return made


class _Measuring:
    """Client, callback and names shared by the sessions of one app."""

    def __init__(self, client: Client, user_id: Optional[UserCallback]) -> None:
        self.client = client
        self.user_id = user_id
        # Pages send the inputs' ids: those that somebody makes up must not use up the names of paths.
        self.names = PathNames(client.options.max_endpoints)


def _measure_express(client: Optional[Client], user_id: Optional[UserCallback], options: Mapping[str, Any]) -> Client:
    global _express
    with _lock:  # the file runs anew for each session
        if _express is None:
            _express = _Measuring(client or Client(**options), user_id)
        measuring = _express
    session: Any = importlib.import_module("shiny.session").get_current_session()
    # The page is drawn once without a session.
    if measuring.client.enabled and session is not None and not session.is_stub_session():
        _guarded(measuring.client, _Session(measuring, session.root_scope()).start)
    return measuring.client


def _follow_app(app: Any, measuring: _Measuring) -> None:
    app.starlette_app.add_middleware(LakepulseMiddleware, client=measuring.client, user_id=_of_scope(measuring.user_id))
    serve = app.server

    def serve_measured(input: Any, output: Any, session: Any) -> Any:
        _guarded(measuring.client, _Session(measuring, session).start)
        return serve(input, output, session)

    app.server = serve_measured


def _of_scope(user_id: Optional[UserCallback]) -> Optional[Callable[[Any], Optional[str]]]:
    if user_id is None:
        return None
    callback: UserCallback = user_id
    connection: Any = importlib.import_module("starlette.requests").HTTPConnection

    def of_scope(scope: Any) -> Optional[str]:
        return callback(connection(scope))

    return of_scope


def _guarded(client: Client, act: Callable[..., Any], *arguments: Any) -> None:
    """Run a part of the measuring: a fault of ours, or a version we do not know, is not the app's."""
    try:
        act(*arguments)
    except Exception as error:
        client.throttle.warn("shiny", "a session cannot be measured: %r", error)


class _Work(Exchange):
    """The work of a session for one message of its page."""

    __slots__ = ("name", "found")

    def __init__(self, client: Client, name: str, found: Identity) -> None:
        super().__init__(client)
        self.name = name
        self.found = found

    def method(self) -> str:
        return "POST"

    def endpoint(self) -> str:
        return self.route or self.name

    def identity(self) -> Identity:
        return self.found


class _Session:
    """Follows one session from its start to its end."""

    def __init__(self, measuring: _Measuring, session: Any) -> None:
        self._client = measuring.client
        self._names = measuring.names
        self._session = session
        self._user_id = measuring.user_id
        self._found = Identity()
        self._work: Optional[_Work] = None

    def start(self) -> None:
        """Begin with the start itself, and put ourselves in front of what follows."""
        session = self._session
        self._found = self._identity()
        manage_inputs, unhandled_error = session._manage_inputs, session._unhandled_error
        queues = session._outbound_message_queues
        set_error = queues.set_error

        def manage_inputs_measured(data: Mapping[str, Any]) -> Any:
            _guarded(self._client, self._begin_update, list(data))
            return manage_inputs(data)

        def set_error_measured(*arguments: Any, **named: Any) -> Any:
            _guarded(self._client, self._note_failure, sys.exc_info()[1])
            return set_error(*arguments, **named)

        async def unhandled_error_measured(error: Exception) -> Any:
            _guarded(self._client, self._note_failure, error)
            return await unhandled_error(error)

        session._manage_inputs, session._unhandled_error = manage_inputs_measured, unhandled_error_measured
        queues.set_error = set_error_measured
        session.on_flushed(lambda: _guarded(self._client, self._end), once=False)
        session.on_ended(lambda: _guarded(self._client, self._end))
        self._begin(_START, self._found)
        self._track("page_view")

    def _identity(self) -> Identity:
        connection = self._session.http_conn
        headers: Dict[str, str] = {str(name).lower(): str(value) for name, value in connection.headers.items()}
        headers = {name: value for name, value in headers.items() if name in IDENTITY_HEADERS}
        found = identity_from(headers, self._client.options.trust_forwarded is True)
        if self._user_id is not None:
            user: Optional[str] = None
            try:
                user = identifier(self._user_id(connection))
            except Exception as error:  # the app's code must not break the app by way of ours
                self._client.throttle.warn("user_id", "the user_id callback raised %r", error)
            found = found._replace(user_id=user)
        return found._replace(session_id=found.session_id or identifier(self._session.id))

    def _begin(self, name: str, found: Identity) -> None:
        self._end()
        self._work = _Work(self._client, name, found)
        self._client.begin(self._work)
        CURRENT.set(self._work)

    def _begin_update(self, keys: List[str]) -> None:
        """Begin the work for a message; ids that begin with a dot are Shiny's own (sizes, visibility)."""
        changed = [key.split(":") for key in keys if not key.startswith(".")]
        name = _UPDATE
        if changed:
            name = self._names.bounded(f"{_UPDATE}/{changed[0][0]}"[:MAX_ENDPOINT], _UPDATE)
        found = self._found
        if changed and self._user():
            found = found._replace(interaction_id=str(uuid.uuid4()))
        self._begin(name, found)
        for key in changed[:_MOST_EVENTS]:
            event_type = "button_click" if key[-1] == "shiny.action" else "widget_changed"
            self._track(event_type, element_id=key[0], interaction_id=found.interaction_id)

    def _user(self) -> Optional[str]:
        return self._found.user_id or self._client.options.dev_user

    def _track(self, event_type: str, **fields: Any) -> None:
        user = self._user()
        if user:
            session = self._found.session_id
            self._client.track(event_type=event_type, user_id=user, page_name=_PAGE, session_id=session, **fields)

    def _note_failure(self, error: Optional[BaseException]) -> None:
        if self._work is not None:
            self._work.status, self._work.error_type = 500, "Exception" if error is None else type(error).__name__

    def _end(self) -> None:
        work = self._work
        if work is None:
            return
        self._work = None
        CURRENT.set(None)
        work.status = work.status or 200
        self._client.finish(work)
