"""Streamlit: one line at the top of the script, for page runs with their time and errors, widgets as usage events.

    import lakepulse.streamlit
    lakepulse.streamlit.measure()

A run of the script is one record: endpoint ``/`` or ``/page`` (``/page#fragment`` for a fragment alone), method GET,
status 200, or 500 with the exception's name. A page that is opened is a ``page_view``; a widget that is used is
``button_click``, ``form_submit``, ``file_uploaded``, ``export_triggered`` or ``widget_changed``, under its key or
``kind.label``. Its value is never read. Events need a user: the headers of the websocket name it.

Streamlit has no public hook at the end of a run, so this listens to the signal its script runner sends. Written against
Streamlit 1.39; a version without the signal is logged once and not measured.
"""

from __future__ import annotations

import importlib
import threading
import uuid
from collections import OrderedDict
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from ._client import Client, Exchange
from ._current import CURRENT
from ._record import IDENTITY_HEADERS, Identity, identifier, identity_from

UserCallback = Callable[[Mapping[str, str]], Optional[str]]

_WITHOUT_ERRORS = "$$STREAMLIT_INTERNAL_KEY_SCRIPT_RUN_WITHOUT_ERRORS"
_STOPPED = ("SCRIPT_STOPPED_WITH_SUCCESS", "SCRIPT_STOPPED_FOR_RERUN", "FRAGMENT_STOPPED_WITH_SUCCESS", "SHUTDOWN")
_EVENT_TYPES = {
    "button": "button_click",
    "download_button": "export_triggered",
    "file_uploader": "file_uploaded",
    "camera_input": "file_uploaded",
    "chat_input": "form_submit",
}
_MOST_SESSIONS = 10_000
_MOST_WIDGETS = 10_000
_MOST_LABEL = 100

_lock = threading.Lock()
_measuring: "Optional[_Measuring]" = None


def measure(client: Optional[Client] = None, *, user_id: Optional[UserCallback] = None, **options: Any) -> Client:
    """Measure the runs of the script; return the client. Call it first in the script: each run calls it again.

    ``options`` (see :class:`lakepulse.Options`) count in the first call of the process; later calls return the client
    that was made then. ``user_id`` is called with the websocket's headers (lower-case names) at the start of each run
    and returns the signed-in user or None; by default the headers of the Databricks Apps proxy tell.
    """
    global _measuring
    if client is not None and options:
        raise TypeError("lakepulse: give either a client or its options")
    with _lock:
        if _measuring is None:
            _measuring = _Measuring(client or Client(**options), user_id)
            _measuring.guarded(_measuring.listen_to_new_runners)
    _measuring.guarded(_measuring.join_run)
    return _measuring.client


class _Widget(NamedTuple):
    """A widget as it was sent to the page."""

    kind: str
    label: str
    submits_form: bool


class _Run(Exchange):
    """One run of the script, or of a fragment."""

    __slots__ = ("context", "is_fragment", "found", "without_page", "saw_widgets")

    def __init__(self, client: Client, context: Any, is_fragment: bool, found: Identity) -> None:
        super().__init__(client)
        self.context = context
        self.is_fragment = is_fragment
        self.found = found
        self.without_page = False
        self.saw_widgets = False

    def method(self) -> str:
        return "GET"

    def endpoint(self) -> str:
        return self.route or self.page() + ("#fragment" if self.is_fragment else "")

    def page(self) -> str:
        """Return the page's path. st.navigation chooses the page during the run, so it is asked at the end."""
        pages: Any = getattr(self.context, "pages_manager", None)
        chosen = getattr(self.context, "page_script_hash", None)
        if self.without_page or pages is None or chosen == getattr(pages, "main_script_hash", None):
            return "/"
        info = pages.get_pages().get(chosen) or {}
        name = info.get("url_pathname")
        return "/" + str(info.get("page_name", "") if name is None else name).strip("/")

    def identity(self) -> Identity:
        return self.found


class _Measuring:
    """Listens to the script runners of this process."""

    def __init__(self, client: Client, user_id: Optional[UserCallback]) -> None:
        self.client = client
        self._user_id = user_id
        self._runs = threading.local()
        self._pages: "OrderedDict[str, str]" = OrderedDict()
        self._widgets: "OrderedDict[str, _Widget]" = OrderedDict()

    def guarded(self, act: Callable[..., None], *arguments: Any) -> None:
        """Run a part of the measuring: a fault of ours, or a version we do not know, is not the app's."""
        if not self.client.enabled:
            return
        try:
            act(*arguments)
        except Exception as error:
            self.client.throttle.warn("streamlit", "a run of the script cannot be measured: %r", error)

    def listen_to_new_runners(self) -> None:
        """Have every script runner that is made from now on tell its events."""
        runner_class: Any = importlib.import_module("streamlit.runtime.scriptrunner").ScriptRunner
        initialize = runner_class.__init__

        def initialize_and_listen(runner: Any, *arguments: Any, **named: Any) -> None:
            initialize(runner, *arguments, **named)
            self.guarded(self._listen_to, runner)

        runner_class.__init__ = initialize_and_listen

    def _listen_to(self, runner: Any) -> None:
        runner.on_event.connect(self._on_event, weak=False)

    def join_run(self) -> None:
        """Begin the run under way, if it began before anybody listened, and tell which widgets started it."""
        context = _context()
        if context is None:  # "python app.py": there is no session
            return
        if self._current() is None:
            self._listen_to(context._enqueue.__self__)
            self._begin(context, bool(getattr(context, "fragment_ids_this_run", None)))
        self._look_at_widgets()

    def _current(self) -> Optional[_Run]:
        return getattr(self._runs, "run", None)

    def _on_event(self, runner: Any, event: Any = None, **more: Any) -> None:
        self.guarded(self._take_event, runner, getattr(event, "name", ""), more)

    def _take_event(self, runner: Any, name: str, more: Mapping[str, Any]) -> None:
        if name == "SCRIPT_STARTED":
            context = _context()
            if context is not None:
                self._end(runner)
                self._begin(context, bool(more.get("fragment_ids_this_run")))
        elif name == "ENQUEUE_FORWARD_MSG":
            self._take_message(more.get("forward_msg"))
        elif name == "SCRIPT_STOPPED_WITH_COMPILE_ERROR":
            run = self._current()
            if run is not None:
                run.error_type = type(more.get("exception")).__name__
            self._end(runner, failed=True)
        elif name in _STOPPED:
            self._end(runner)

    def _begin(self, context: Any, is_fragment: bool) -> None:
        run = _Run(self.client, context, is_fragment, self._identity(context))
        self._runs.run = run
        self.client.begin(run)
        CURRENT.set(run)

    def _identity(self, context: Any) -> Identity:
        headers = _headers()
        found = identity_from(headers, self.client.options.trust_forwarded is True)
        if self._user_id is not None:
            user: Optional[str] = None
            try:
                user = identifier(self._user_id(headers))
            except Exception as error:  # the app's code must not break the app by way of ours
                self.client.throttle.warn("user_id", "the user_id callback raised %r", error)
            found = found._replace(user_id=user)
        return found._replace(session_id=identifier(context.session_id))

    def _take_message(self, message: Any) -> None:
        """Learn from what the page is sent: its widgets, an exception, that there is no such page."""
        run = self._current()
        if run is None or message is None:
            return
        self._look_at_widgets()
        kind = message.WhichOneof("type")
        if kind == "page_not_found":
            run.status, run.without_page = 404, True
        if kind != "delta" or message.delta.WhichOneof("type") != "new_element":
            return
        element = message.delta.new_element
        name = element.WhichOneof("type")
        if name is None:
            return
        content = getattr(element, name)
        if name == "exception":
            run.error_type = str(content.type) or "Exception"
        elif getattr(content, "id", "") and hasattr(content, "label"):
            submits = bool(getattr(content, "is_form_submitter", False))
            _keep(self._widgets, content.id, _Widget(name, str(content.label), submits), _MOST_WIDGETS)

    def _look_at_widgets(self) -> None:
        """Find what started the run, once it has begun: the page was opened, or widgets were used."""
        run = self._current()
        if run is None or run.saw_widgets:
            return
        run.saw_widgets = True
        session = str(run.context.session_id)
        known = session in self._pages
        if not known:  # a browser that reconnects sends all its widgets' values: none of them was used now
            return
        used = [widget for widget in _widgets_used(run.context) if widget]
        if not used or not self._user(run):
            return
        # The events and the run belong together.
        interaction = str(uuid.uuid4())
        run.found = run.found._replace(interaction_id=interaction)
        for widget in used:
            event_type, element = self._describe(widget)
            self._track(run, event_type, interaction_id=interaction, element_id=element)

    def _describe(self, widget_id: str) -> Tuple[str, str]:
        """Return the event's type and the element's id: the widget's key, else its kind and label."""
        known = self._widgets.get(widget_id)
        key = widget_id.split("-", 2)[-1] if widget_id.count("-") >= 2 else "None"
        if known is None:
            return "widget_changed", (key if key != "None" else "widget")
        event_type = "form_submit" if known.submits_form else _EVENT_TYPES.get(known.kind, "widget_changed")
        return event_type, (key if key != "None" else f"{known.kind}.{known.label}"[:_MOST_LABEL])

    def _user(self, run: _Run) -> Optional[str]:
        return run.named_identity().user_id or self.client.options.dev_user

    def _track(self, run: _Run, event_type: str, **fields: Any) -> None:
        page = run.page()
        session = run.found.session_id
        self.client.track(event_type=event_type, user_id=self._user(run), page_name=page, session_id=session, **fields)

    def _end(self, runner: Any, failed: bool = False) -> None:
        run = self._current()
        if run is None:
            return
        self._runs.run = None
        CURRENT.set(None)
        if failed or not _ran_without_errors(runner, run.error_type is None):
            run.status, run.error_type = 500, run.error_type or "Exception"
        elif run.status == 0:
            run.status, run.error_type = 200, None
        self.client.finish(run)
        self._note_page(run)

    def _note_page(self, run: _Run) -> None:
        session, page = str(run.context.session_id), run.page()
        if self._pages.get(session) != page and not run.is_fragment and self._user(run):
            self._track(run, "page_view")
        _keep(self._pages, session, page, _MOST_SESSIONS)


def _keep(known: "OrderedDict[str, Any]", name: str, value: Any, most: int) -> None:
    """Keep a value, and forget the one that was kept longest when there are too many."""
    with _lock:
        known[name] = value
        known.move_to_end(name)
        if len(known) > most:
            known.popitem(last=False)


def _context() -> Any:
    runner: Any = importlib.import_module("streamlit.runtime.scriptrunner")
    return runner.get_script_run_ctx(suppress_warning=True)


def _headers() -> Dict[str, str]:
    """Return the headers of the session's websocket that we read, with lower-case names."""
    streamlit: Any = importlib.import_module("streamlit")
    context = getattr(streamlit, "context", None)  # from 1.37 on
    if context is None:
        return {}
    found = {str(name).lower(): str(value) for name, value in context.headers.items()}
    return {name: value for name, value in found.items() if name in IDENTITY_HEADERS}


def _session_state(holder: Any) -> Any:
    """Return the session's state itself: its wrapper may stop the script when it is asked."""
    return getattr(holder, "_state", holder)


def _ran_without_errors(runner: Any, otherwise: bool) -> bool:
    try:
        return bool(_session_state(runner._session_state)[_WITHOUT_ERRORS])
    except (AttributeError, KeyError):
        return otherwise


def _widgets_used(context: Any) -> "list[str]":
    """Return the ids of the widgets whose value is another than in the run before. The values stay with Streamlit."""
    state = _session_state(context.session_state)
    return [widget for widget in list(state._new_widget_state) if state._widget_changed(widget)]
