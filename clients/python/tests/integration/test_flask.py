"""Flask under a WSGI server."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any, Dict, List, Optional

from flask import Flask, request, session
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from lakepulse import LakepulseWSGIMiddleware, init_dash, init_flask, set_route, set_user

from ..fake_ingest import WAIT
from ..unit.ingest_case import IngestCase
from .serving import Site, Wsgiref

EVENTS = "/api/v1/metrics/usage-events"


def flask_app() -> Flask:
    app = Flask("orders")
    app.secret_key = "test"

    @app.get("/orders/<int:order_id>")
    def order(order_id: int) -> Dict[str, int]:
        return {"order": order_id}

    @app.get("/broken")
    def broken() -> str:
        raise ZeroDivisionError

    @app.get("/stream")
    def stream() -> Any:
        return (str(n) for n in range(3))

    @app.post("/login")
    def login() -> str:
        session["user"] = request.get_data(as_text=True)
        return "ok"

    return app


class Case(IngestCase):
    def serve(self, app: Any) -> Site:
        site = Wsgiref(app)
        self.addCleanup(site.close)
        return site

    def stored(self, count: int) -> List[Dict[str, Any]]:
        self.ingest.wait_until(lambda: len(self.ingest.performance()) >= count)
        return self.ingest.performance()


class Recording(Case):
    def test_requests_are_named_after_their_rules_and_errors_after_their_exceptions(self) -> None:
        app = flask_app()
        app.logger.disabled = True
        init_flask(app, self.client(flush_interval=0.02))
        site = self.serve(app)
        for n, (path, want) in enumerate(
            {
                "/orders/7": ("/orders/{order_id}", 200, None),
                "/orders/x": ("/orders/x", 404, "404"),
                "/broken": ("/broken", 500, "ZeroDivisionError"),
                "/stream": ("/stream", 200, None),
                "/nowhere/5": ("/nowhere/{id}", 404, "404"),
            }.items(),
            1,
        ):
            with self.subTest(path):
                site.ask("GET", path)
                event = self.stored(n)[-1]
                self.assertEqual((event["endpoint"], event["status_code"], event.get("error_type")), want)

    def test_a_mounted_app_keeps_its_place(self) -> None:
        outer = DispatcherMiddleware(Flask("outer"), {"/shop": flask_app()})
        site = self.serve(LakepulseWSGIMiddleware(outer, self.client(flush_interval=0.02)))
        site.ask("GET", "/shop/orders/7")
        self.assertEqual(self.stored(1)[0]["endpoint"], "/shop/orders/{order_id}")

    def test_a_client_that_leaves_is_told_apart(self) -> None:
        app = flask_app()
        at_work = threading.Event()

        @app.get("/endless")
        def endless() -> Any:
            def chunks() -> Any:
                at_work.set()
                while True:
                    yield b"x" * 65536

            return app.response_class(chunks())

        init_flask(app, self.client(flush_interval=0.02))
        self.serve(app).leave("/endless", at_work)
        event = self.stored(1)[0]
        self.assertEqual((event["endpoint"], event["status_code"]), ("/endless", 499))
        self.assertEqual(event["error_type"], "ClientDisconnected")


class DashCallbacks(Case):
    """Dash's route on Flask: it parses the body with Flask, as Dash does."""

    def test_callbacks_are_named_by_their_outputs_and_can_say_more(self) -> None:
        server = Flask("dash")

        @server.post("/dashboard/_dash-update-component")
        def update() -> Any:
            body = request.get_json()
            if body["output"] == "broken.children":
                raise ZeroDivisionError
            if body["output"] == "named.children":
                set_route("/sales/by-region")
                set_user("callback@example.com")
            return "", 204 if body["output"] == "same.children" else 200

        server.logger.disabled = True
        init_dash(SimpleNamespace(server=server), self.client(flush_interval=0.02))
        site = self.serve(server)
        path = "/dashboard/_dash-update-component"
        for n, (output, endpoint, status) in enumerate(
            (
                ("graph.figure", f"{path}/graph.figure", 200),
                ("..a.value...b.value..", f"{path}/a.value,b.value", 200),
                ("same.children", f"{path}/same.children", 204),
                ("broken.children", f"{path}/broken.children", 500),
                ("named.children", "/sales/by-region", 200),
            ),
            1,
        ):
            with self.subTest(output):
                site.ask("POST", path, json.dumps({"output": output}).encode(), {"Content-Type": "application/json"})
                event = self.stored(n)[-1]
                self.assertEqual((event["endpoint"], event["status_code"]), (endpoint, status))
        self.assertEqual(self.stored(5)[-1]["user_id"], "callback@example.com")
        site.ask("POST", path, b"no JSON", {"Content-Type": "application/json"})
        self.assertEqual(self.stored(6)[-1]["endpoint"], path)


class Users(Case):
    def test_the_session_tells_the_user_of_requests_and_of_relayed_events(self) -> None:
        app = flask_app()

        def who(flask_request: Any) -> Optional[str]:
            return session.get("user")

        client = init_flask(app, self.client(flush_interval=0.02), user_id=who)
        browser = app.test_client()
        browser.post("/login", data="jo").close()
        browser.get("/orders/7").close()
        self.assertEqual([event.get("user_id") for event in self.stored(2)], ["jo", "jo"])
        batch = json.dumps({"events": [{"event_type": "page_view", "user_id": "boss"}]})
        self.assertEqual(browser.post(EVENTS, data=batch).status_code, 202)
        self.assertEqual(self.ingest.usage()[0]["user_id"], "jo")
        self.assertEqual(app.test_client().post(EVENTS, data=batch).status_code, 401)
        self.assertTrue(client.flush(WAIT))

    def test_the_relay_works_behind_a_server(self) -> None:
        app = flask_app()
        client = init_flask(app, url=self.ingest.url, app_name="orders", api_key="lp_test", trust_forwarded=True)
        self.addCleanup(client.close, 0.0)
        site = self.serve(app)
        headers = {"X-Forwarded-Email": "jo@example.com", "Content-Type": "text/plain"}
        batch = json.dumps({"events": [{"event_type": "page_view"}]}).encode()
        self.assertEqual(site.ask("POST", EVENTS, batch, headers).status, 202)
        self.assertEqual(self.ingest.usage()[0]["user_id"], "jo@example.com")
