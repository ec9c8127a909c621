"""Shiny for Python. The double has what lakepulse.shiny uses of Shiny 1.7, which cannot be had where tests run.

That is: ``App.server`` and ``App.starlette_app``, and of a session the order in which a message's inputs are set,
outputs are computed, flushed callbacks run and the session ends.
"""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, Dict, List, Optional
from unittest import mock

import lakepulse.shiny
from lakepulse import LakepulseMiddleware, set_route, set_user, track

from ..fake_ingest import WAIT
from .ingest_case import IngestCase


class Session:
    """AppSession."""

    id = "5e55"

    def __init__(self, app: Any, headers: Dict[str, str]) -> None:
        self.app = app
        self.http_conn = SimpleNamespace(headers=headers)
        self._outbound_message_queues = SimpleNamespace(set_error=lambda name, error: None)
        self._flushed: List[Callable[[], None]] = []
        self._ended: List[Callable[[], None]] = []
        self.outputs: List[Callable[[], None]] = []
        self.inputs: Dict[str, Any] = {}

    def on_flushed(self, act: Callable[[], None], once: bool = True) -> None:
        self._flushed.append(act)

    def on_ended(self, act: Callable[[], None]) -> None:
        self._ended.append(act)

    def is_stub_session(self) -> bool:
        return False

    def root_scope(self) -> "Session":
        return self

    def _manage_inputs(self, data: Dict[str, Any]) -> None:
        self.inputs.update(data)

    async def _unhandled_error(self, error: Exception) -> None:
        for act in self._ended:
            act()

    async def init(self) -> None:
        self.app.server(None, None, self)
        await self._flush()

    async def update(self, data: Dict[str, Any], effect: Optional[Callable[[], None]] = None) -> None:
        self._manage_inputs(data)
        try:
            if effect is not None:
                effect()
        except Exception as error:
            await self._unhandled_error(error)
            return
        await self._flush()

    async def _flush(self) -> None:
        for n, output in enumerate(self.outputs):
            try:
                output()
            except Exception:
                self._outbound_message_queues.set_error(f"output{n}", {"message": "x"})
        for act in self._flushed:
            act()


class ShinyCase(IngestCase):
    def setUp(self) -> None:
        super().setUp()
        self.middleware: List[Any] = []
        starlette = SimpleNamespace(add_middleware=lambda kind, **options: self.middleware.append((kind, options)))
        self.served: List[Any] = []
        self.app = SimpleNamespace(starlette_app=starlette, server=lambda *sent: self.served.append(sent))
        self.measuring = self.client()

    def session(self, **headers: str) -> Session:
        found = {"x-forwarded-email": "jo@example.com", "cookie": "secret", **headers}
        session = Session(self.app, found)
        asyncio.run(session.init())
        return session

    def records(self) -> List[Dict[str, Any]]:
        self.assertTrue(self.measuring.flush(WAIT))
        return self.ingest.performance()


class Sessions(ShinyCase):
    def setUp(self) -> None:
        super().setUp()
        lakepulse.shiny.measure(self.app, self.measuring)

    def test_the_apps_requests_are_measured_by_the_middleware(self) -> None:
        self.assertEqual(self.middleware, [(LakepulseMiddleware, {"client": self.measuring, "user_id": None})])

    def test_start_and_updates_are_records(self) -> None:
        session = self.session()
        for data in ({"rows": 3}, {"go:shiny.action": 1}, {".clientdata_output_x_width": 7}, {".x": 1, "mod-n:shiny.number": 2}):
            asyncio.run(session.update(data))
        names = ["/shiny/start", "/shiny/update/rows", "/shiny/update/go", "/shiny/update", "/shiny/update/mod-n"]
        records = self.records()
        self.assertEqual([record["endpoint"] for record in records], names)
        want = {"method": "POST", "status_code": 200, "user_id": "jo@example.com", "session_id": "5e55"}
        self.assertEqual([{name: record[name] for name in want} for record in records], [want] * 5)
        self.assertEqual(session.inputs["rows"], 3)
        self.assertEqual(len(self.served), 1)
        self.assertNotIn("secret", str(self.ingest.calls))

    def test_inputs_are_events_with_the_work_they_cause(self) -> None:
        asyncio.run(self.session().update({"rows": 3, "go:shiny.action": 1, ".hidden": 2}))
        record = self.records()[-1]
        events = [(e["event_type"], e.get("element_id"), e.get("interaction_id")) for e in self.ingest.usage()]
        together = record["interaction_id"]
        want = [("page_view", None, None), ("widget_changed", "rows", together), ("button_click", "go", together)]
        self.assertEqual(events, want)

    def test_an_output_that_raises_is_an_error(self) -> None:
        session = self.session()
        session.outputs.append(lambda: {}["absent"])
        asyncio.run(session.update({"rows": 3}))
        record = self.records()[-1]
        self.assertEqual((record["status_code"], record["error_type"]), (500, "KeyError"))

    def test_an_effect_that_raises_ends_the_session_and_is_an_error(self) -> None:
        def broken() -> None:
            raise ZeroDivisionError

        asyncio.run(self.session().update({"rows": 3}, broken))
        record = self.records()[-1]
        self.assertEqual((record["endpoint"], record["status_code"]), ("/shiny/update/rows", 500))
        self.assertEqual(record["error_type"], "ZeroDivisionError")

    def test_ids_that_a_page_makes_up_are_bounded(self) -> None:
        session = self.session()
        for n in range(250):
            asyncio.run(session.update({f"guess{n}": 1}))
        asyncio.run(session.update({f"many{n}": 1 for n in range(1000)}))
        self.assertEqual(len({record["endpoint"] for record in self.records()}), 202)
        self.assertEqual(len(self.ingest.usage()), 1 + 250 + 20)
        self.assertTrue(self.measuring.path_names.bounded("/real", "no") == "/real")

    def test_the_app_can_say_more(self) -> None:
        def say() -> None:
            set_route("/reports/{name}")
            set_user("effect@example.com")
            self.assertTrue(track("query_executed"))

        async def work() -> None:
            await session.update({"rows": 3}, say)
            self.assertFalse(track("query_executed"))

        session = self.session()
        asyncio.run(work())
        record = self.records()[-1]
        self.assertEqual((record["endpoint"], record["user_id"]), ("/reports/{name}", "effect@example.com"))
        self.assertEqual(self.ingest.usage()[-1]["user_id"], "effect@example.com")

    def test_other_sessions_flushes_are_no_work(self) -> None:
        session = self.session()
        asyncio.run(session._flush())
        self.assertEqual(len(self.records()), 1)


class Setting(ShinyCase):
    def test_the_callback_names_the_user(self) -> None:
        starlette = ModuleType("starlette.requests")
        starlette.HTTPConnection = lambda scope: SimpleNamespace(headers=scope)  # type: ignore[attr-defined]
        with mock.patch.dict(sys.modules, {"starlette": ModuleType("starlette"), "starlette.requests": starlette}):
            lakepulse.shiny.measure(self.app, self.measuring, user_id=lambda connection: connection.headers["x-user"])
        self.session(**{"x-user": "callback"})
        self.session()
        self.assertEqual([record.get("user_id") for record in self.records()], ["callback", None])
        self.assertEqual(self.middleware[0][1]["user_id"]({"x-user": "http"}), "http")

    def test_without_a_url_the_app_is_left_alone(self) -> None:
        before = self.app.server
        lakepulse.shiny.measure(self.app, url="")
        self.assertEqual((self.app.server, self.middleware), (before, []))

    def test_a_session_of_another_version_costs_nothing_but_the_measuring(self) -> None:
        lakepulse.shiny.measure(self.app, self.measuring)
        self.app.server(None, None, SimpleNamespace(http_conn=None))
        self.assertEqual((len(self.served), self.records()), (1, []))

    def test_express_measures_its_session(self) -> None:
        shiny = ModuleType("shiny.session")
        current: List[Any] = [None]
        shiny.get_current_session = lambda: current[0]  # type: ignore[attr-defined]
        patches = (
            mock.patch.dict(sys.modules, {"shiny": ModuleType("shiny"), "shiny.session": shiny}),
            mock.patch("lakepulse.shiny._express", None),
        )
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)
        self.assertIs(lakepulse.shiny.measure(client=self.measuring), self.measuring)
        current[0] = SimpleNamespace(is_stub_session=lambda: True)
        lakepulse.shiny.measure()
        for _ in range(2):
            session = Session(SimpleNamespace(server=lambda *sent: lakepulse.shiny.measure()), {})
            current[0] = session
            asyncio.run(session.init())
            asyncio.run(session.update({"rows": 1}))
        self.assertEqual([r["endpoint"] for r in self.records()], ["/shiny/start", "/shiny/update/rows"] * 2)
