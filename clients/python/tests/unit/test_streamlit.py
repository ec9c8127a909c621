"""Streamlit. The double has what lakepulse.streamlit uses of Streamlit 1.39, which cannot be had where tests run.

That is: the script runner with its signal ``on_event`` and the order of its events, the context of the script's thread,
the session's state with its widgets, and ``st.context.headers``.
"""

from __future__ import annotations

import sys
import threading
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, Dict, List, Optional
from unittest import mock

import lakepulse.streamlit
from lakepulse import set_route, set_user, track

from ..fake_ingest import WAIT
from .ingest_case import IngestCase

Event = Enum(
    "Event",
    "SCRIPT_STARTED SCRIPT_STOPPED_WITH_COMPILE_ERROR SCRIPT_STOPPED_WITH_SUCCESS SCRIPT_STOPPED_FOR_RERUN "
    "FRAGMENT_STOPPED_WITH_SUCCESS SHUTDOWN ENQUEUE_FORWARD_MSG",
)
_thread = threading.local()


class Signal:
    """blinker's Signal."""

    def __init__(self) -> None:
        self._receivers: List[Any] = []

    def connect(self, receiver: Any, weak: bool = True) -> None:
        if receiver not in self._receivers:  # bound methods of one object are equal
            self._receivers.append(receiver)

    def send(self, sender: Any, **more: Any) -> None:
        for receiver in list(self._receivers):
            receiver(sender, **more)


class Message:
    """A protobuf message with one of several members."""

    def __init__(self, kind: Optional[str], **members: Any) -> None:
        self._kind = kind
        self.__dict__.update(members)

    def WhichOneof(self, name: str) -> Optional[str]:
        return self._kind


def element(kind: str, **content: Any) -> Message:
    inner = Message(kind, **{kind: SimpleNamespace(**content)})
    return Message("delta", delta=Message("new_element", new_element=inner))


class State:
    """SessionState: the widgets' values of this run and of the run before."""

    def __init__(self) -> None:
        self._new_widget_state: Dict[str, Any] = {}
        self._old_state: Dict[str, Any] = {}
        self._values: Dict[str, Any] = {}

    def _widget_changed(self, widget: str) -> bool:
        return bool(self._new_widget_state[widget] != self._old_state.get(widget))

    def __getitem__(self, name: str) -> Any:
        return self._values[name]


class Session:
    """One browser's session: what stays from run to run."""

    def __init__(self, name: str = "s-1") -> None:
        self.session_id = name
        self.state = State()
        self.pages_manager = SimpleNamespace(
            main_script_hash="main",
            get_pages=lambda: {
                "main": {"page_name": "app", "url_pathname": "app"},
                "v1": {"page_name": "sales"},
                "v2": {"page_name": "Stock", "url_pathname": "stock/list"},
                "default": {"page_name": "Home", "url_pathname": ""},
            },
        )


class ScriptRunner:
    def __init__(self, session: Session) -> None:
        self.on_event = Signal()
        self._session_state = SimpleNamespace(_state=session.state)
        self._session = session

    def _enqueue_forward_msg(self, message: Any) -> None:
        self.on_event.send(self, event=Event.ENQUEUE_FORWARD_MSG, forward_msg=message)

    def run(
        self, script: Callable[[], None], page: str = "main", widgets: Optional[Dict[str, Any]] = None,
        fragment: bool = False, compile_error: Optional[Exception] = None,
    ) -> None:
        """ScriptRunner._run_script, its events in its order."""
        session, state = self._session, self._session.state
        context = SimpleNamespace(session_id=session.session_id, _enqueue=self._enqueue_forward_msg)
        context.session_state, context.pages_manager = self._session_state, session.pages_manager
        context.page_script_hash, context.fragment_ids_this_run = page, ["f"] if fragment else []
        _thread.context = context
        self.on_event.send(self, event=Event.SCRIPT_STARTED, page_script_hash=page, fragment_ids_this_run=context.fragment_ids_this_run)
        if compile_error is not None:
            self.on_event.send(self, event=Event.SCRIPT_STOPPED_WITH_COMPILE_ERROR, exception=compile_error)
            return
        state._old_state.update(state._new_widget_state)
        state._new_widget_state = dict(widgets or {})
        fine, event = True, Event.FRAGMENT_STOPPED_WITH_SUCCESS if fragment else Event.SCRIPT_STOPPED_WITH_SUCCESS
        try:
            script()
        except Rerun:
            event = Event.SCRIPT_STOPPED_FOR_RERUN
        except Exception as error:
            fine = False
            self._enqueue_forward_msg(element("exception", type=type(error).__name__))
        state._values[lakepulse.streamlit._WITHOUT_ERRORS] = fine
        self.on_event.send(self, event=event)


class Rerun(BaseException):
    """RerunException."""


class StreamlitCase(IngestCase):
    def setUp(self) -> None:
        super().setUp()
        _thread.context = None
        self.headers = {"X-Forwarded-Email": "jo@example.com", "Cookie": "secret"}
        double = ModuleType("streamlit")
        double.context = SimpleNamespace(headers=self.headers)  # type: ignore[attr-defined]
        runners = ModuleType("streamlit.runtime.scriptrunner")
        self.runner_class = type("ScriptRunner", (ScriptRunner,), {})
        runners.ScriptRunner = self.runner_class  # type: ignore[attr-defined]
        runners.get_script_run_ctx = lambda suppress_warning=False: _thread.context  # type: ignore[attr-defined]
        modules = {"streamlit": double, "streamlit.runtime": ModuleType("streamlit.runtime"), runners.__name__: runners}
        for patch in (mock.patch.dict(sys.modules, modules), mock.patch("lakepulse.streamlit._measuring", None)):
            patch.start()
            self.addCleanup(patch.stop)
        self.measuring = self.client()

    def measure(self, **options: Any) -> None:
        lakepulse.streamlit.measure(self.measuring, **options)

    def run_script(self, session: Session, script: Optional[Callable[[], None]] = None, **how: Any) -> None:
        """Run a script that measures itself first, with a runner of its own, as each rerun has one."""

        def whole() -> None:
            self.measure()
            if script is not None:
                script()

        runner = self.runner_class(session)
        runner.run(whole, **how)

    def runs(self) -> List[Dict[str, Any]]:
        self.assertTrue(self.measuring.flush(WAIT))
        return self.ingest.performance()

    def events(self) -> List[Any]:
        self.runs()
        return [(e["event_type"], e["page_name"], e.get("element_id")) for e in self.ingest.usage()]


class Runs(StreamlitCase):
    def test_a_run_is_a_record_from_the_first_on(self) -> None:
        session = Session()
        for _ in range(3):
            self.run_script(session)
        runs = self.runs()
        want = {"endpoint": "/", "method": "GET", "status_code": 200, "user_id": "jo@example.com", "session_id": "s-1"}
        self.assertEqual([{name: run.get(name) for name in want} for run in runs], [want] * 3)
        self.assertNotIn("secret", str(runs))

    def test_pages_have_their_paths(self) -> None:
        for page, path in (("main", "/"), ("v1", "/sales"), ("v2", "/stock/list"), ("default", "/"), ("gone", "/")):
            self.run_script(Session(), page=page)
            self.assertEqual(self.runs()[-1]["endpoint"], path)

    def test_a_page_chosen_during_the_run_counts(self) -> None:
        def navigate() -> None:
            _thread.context.page_script_hash = "v2"

        self.run_script(Session(), navigate)
        self.assertEqual(self.runs()[0]["endpoint"], "/stock/list")

    def test_errors_have_the_exceptions_name_also_in_the_first_run(self) -> None:
        def broken() -> None:
            raise ZeroDivisionError

        for _ in range(2):
            self.run_script(Session(), broken)
            run = self.runs()[-1]
            self.assertEqual((run["status_code"], run["error_type"]), (500, "ZeroDivisionError"))

    def test_an_exception_that_is_only_shown_is_no_error(self) -> None:
        self.run_script(Session(), lambda: _thread.context._enqueue(element("exception", type="KeyError")))
        self.assertEqual(self.runs()[0]["status_code"], 200)

    def test_a_script_that_does_not_compile_is_an_error(self) -> None:
        session = Session()
        self.run_script(session)
        self.run_script(session, compile_error=SyntaxError("x"))
        run = self.runs()[-1]
        self.assertEqual((run["status_code"], run["error_type"]), (500, "SyntaxError"))

    def test_a_run_that_gives_way_to_the_next_is_complete(self) -> None:
        def rerun() -> None:
            raise Rerun

        self.run_script(Session(), rerun)
        self.run_script(Session(), rerun)
        self.assertEqual([run["status_code"] for run in self.runs()], [200, 200])

    def test_a_page_that_is_not_there_is_a_404(self) -> None:
        self.run_script(Session(), lambda: _thread.context._enqueue(Message("page_not_found")))
        self.assertEqual(self.runs()[0]["status_code"], 404)

    def test_a_fragment_is_a_run_of_its_own_though_it_does_not_call_measure(self) -> None:
        session = Session()
        self.run_script(session, page="v1")
        self.runner_class(session).run(lambda: None, page="v1", fragment=True)
        self.assertEqual([run["endpoint"] for run in self.runs()], ["/sales", "/sales#fragment"])

    def test_one_runner_runs_several_times(self) -> None:
        session = Session()
        self.run_script(session)
        runner = self.runner_class(session)
        for _ in range(3):
            runner.run(self.measure)
        self.assertEqual(len(self.runs()), 4)

    def test_the_script_can_say_more(self) -> None:
        def say() -> None:
            set_route("/reports/{name}")
            set_user("script@example.com")
            self.assertTrue(track("query_executed"))

        self.run_script(Session(), say)
        run = self.runs()[0]
        self.assertEqual((run["endpoint"], run["user_id"]), ("/reports/{name}", "script@example.com"))
        self.assertIn("script@example.com", [e["user_id"] for e in self.ingest.usage()])
        self.assertFalse(track("query_executed"))


class Events(StreamlitCase):
    def opened(self) -> Session:
        """A session whose page is open, with its widgets."""
        session = Session()

        def draw() -> None:
            for kind, key, label in (
                ("button", "None", "Run it"), ("button", "go", "Go"), ("download_button", "None", "CSV"),
                ("slider", "rows", "Rows"), ("selectbox", "None", "Country"), ("file_uploader", "None", "Data"),
            ):
                _thread.context._enqueue(element(kind, id=f"$$ID-{kind}{label}-{key}", label=label))
            _thread.context._enqueue(element("button", id="$$ID-send-None", label="Send", is_form_submitter=True))

        self.run_script(session, draw, widgets={"$$ID-sliderRows-rows": 3})
        return session

    def test_a_page_that_is_opened_is_a_page_view_once(self) -> None:
        session = Session()
        for page in ("main", "main", "v1", "v1", "main"):
            self.run_script(session, page=page)
        self.assertEqual(self.events(), [("page_view", "/", None), ("page_view", "/sales", None), ("page_view", "/", None)])

    def test_widgets_that_are_used_are_events_of_their_kind(self) -> None:
        for widget, value, event_type, name in (
            ("$$ID-buttonRun it-None", True, "button_click", "button.Run it"),
            ("$$ID-buttonGo-go", True, "button_click", "go"),
            ("$$ID-download_buttonCSV-None", True, "export_triggered", "download_button.CSV"),
            ("$$ID-sliderRows-rows", 7, "widget_changed", "rows"),
            ("$$ID-selectboxCountry-None", "Chile", "widget_changed", "selectbox.Country"),
            ("$$ID-file_uploaderData-None", object(), "file_uploaded", "file_uploader.Data"),
            ("$$ID-send-None", True, "form_submit", "button.Send"),
            ("$$ID-new-region-1", "x", "widget_changed", "region-1"),
        ):
            with self.subTest(widget):
                self.ingest.calls.clear()
                session = self.opened()
                self.run_script(session, widgets={"$$ID-sliderRows-rows": 3, widget: value})
                self.assertEqual(self.events()[1:], [(event_type, "/", name)])
                self.assertNotIn("Chile", str(self.ingest.calls))

    def test_a_widget_and_the_run_it_causes_belong_together(self) -> None:
        session = self.opened()
        self.run_script(session, widgets={"$$ID-sliderRows-rows": 4})
        self.assertEqual(self.runs()[-1]["interaction_id"], self.ingest.usage()[-1]["interaction_id"])

    def test_a_fragments_widgets_are_events_too(self) -> None:
        session = self.opened()
        draw = lambda: _thread.context._enqueue(Message("other"))  # noqa: E731
        self.runner_class(session).run(draw, widgets={"$$ID-sliderRows-rows": 5}, fragment=True)
        self.assertEqual(self.events()[-1], ("widget_changed", "/", "rows"))

    def test_a_browser_that_reconnects_has_used_no_widget(self) -> None:
        self.run_script(Session("new"), widgets={"$$ID-sliderRows-rows": 9})
        self.assertEqual(self.events(), [("page_view", "/", None)])

    def test_without_a_user_there_are_no_events_and_no_complaint(self) -> None:
        self.headers.clear()
        said: List[str] = []
        self.measuring.throttle.warn = lambda *a: said.append(str(a))  # type: ignore[method-assign]
        self.run_script(self.opened(), widgets={"$$ID-sliderRows-rows": 4})
        self.assertEqual((self.events(), said), ([], []))
        self.assertNotIn("user_id", self.runs()[-1])

    def test_the_callback_names_the_user_and_may_fail(self) -> None:
        for callback, user in ((lambda headers: headers["x-forwarded-email"].upper(), "JO@EXAMPLE.COM"), (lambda headers: 1 / 0, None)):
            with mock.patch("lakepulse.streamlit._measuring", None):
                self.runner_class(Session()).run(lambda: self.measure(user_id=callback))
            self.assertEqual(self.runs()[-1].get("user_id"), user)


class Trouble(StreamlitCase):
    def test_a_version_without_the_signal_costs_nothing_but_the_measuring(self) -> None:
        broken = type("Broken", (ScriptRunner,), {"run": lambda self, script: script()})
        _thread.context = SimpleNamespace(_enqueue=lambda message: None, session_id="s")
        self.measure()
        broken(Session()).run(self.measure)
        self.assertEqual(self.runs(), [])

    def test_without_a_session_nothing_is_measured(self) -> None:
        self.measure()
        self.assertEqual(self.runs(), [])

    def test_without_a_url_streamlit_is_left_alone(self) -> None:
        before = self.runner_class.__init__
        client = lakepulse.streamlit.measure(url="")
        self.assertFalse(client.enabled)
        self.assertIs(self.runner_class.__init__, before)

    def test_the_first_calls_options_count(self) -> None:
        first = lakepulse.streamlit.measure(url=self.ingest.url, app_version="1", journal="")
        self.addCleanup(first.close, 0.0)
        self.assertIs(lakepulse.streamlit.measure(url=self.ingest.url, app_version="2"), first)
        with self.assertRaises(TypeError):
            lakepulse.streamlit.measure(first, app_version="2")
