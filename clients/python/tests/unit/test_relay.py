"""The relay by ASGI and WSGI: whose events they are, what is refused, and an ingest that is away."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from typing import Any, Dict, List, NamedTuple, Optional

from lakepulse import Client, LakepulseMiddleware, LakepulseRelay, LakepulseWSGIMiddleware
from lakepulse._relay import MAX_BODY

from ..fake_ingest import WAIT, Answer
from .ingest_case import IngestCase
from .test_asgi import ok as asgi_ok, scope_for
from .test_wsgi import environ_for, ok as wsgi_ok

EVENTS = "/api/v1/metrics/usage-events"
COUNT = "/api/v1/metrics/usage/count"
JO = {"x-forwarded-email": "jo@example.com"}


class Reply(NamedTuple):
    status: int
    headers: Dict[str, str]
    body: Dict[str, Any]


async def over_asgi(
    app: Any, method: str, path: str, body: bytes, headers: Dict[str, str], query: str = "", root_path: str = ""
) -> Reply:
    chunks = [body[: len(body) // 2], body[len(body) // 2 :]]
    sent: List[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = scope_for(path, headers, method=method, query_string=query.encode(), root_path=root_path)
    scope["method"] = method
    await app(scope, receive, send)
    heads = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], heads, json.loads(sent[1]["body"]))


def over_wsgi(app: Any, method: str, path: str, body: bytes, headers: Dict[str, str], query: str = "") -> Reply:
    environ = environ_for(path, REQUEST_METHOD=method, QUERY_STRING=query)
    environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    names = {name.lower(): value.encode("utf-8").decode("latin-1") for name, value in headers.items()}
    environ.update({"HTTP_" + name.upper().replace("-", "_"): value for name, value in names.items()})
    started: List[Any] = []
    chunks = app(environ, lambda status, heads, *exc: started.append((status, heads)))
    heads = {name.lower(): value for name, value in started[0][1]}
    return Reply(int(started[0][0][:3]), heads, json.loads(b"".join(chunks)))


class RelayRules:
    """What holds for both; the subclasses say how to ask."""

    def ask(
        self, method: str, path: str, body: Any = b"", headers: Optional[Dict[str, str]] = None, query: str = "",
        **options: Any,
    ) -> Reply:
        raise NotImplementedError

    def test_the_signed_in_user_is_put_on_every_event(self: Any) -> None:
        spoofed = [
            {"event_type": "page_view", "user_id": "boss"},
            {"event_type": "page_view", "User_ID": "boss", "u\u017fer_id": "boss", "App": "other"},
            "no event",
        ]
        reply = self.ask("POST", EVENTS, {"events": spoofed, "Events": [{"user_id": "boss"}], "dropped": 4}, JO)
        self.assertEqual((reply.status, reply.body["status"]), (202, "processing"))
        (call,) = self.ingest.calls
        mine = {"event_type": "page_view", "user_id": "jo@example.com", "app": "orders"}
        self.assertEqual(call.body, {"events": [mine, mine, "no event"], "dropped": 4})
        self.assertEqual((call.path, call.headers["x-lakepulse-key"]), (EVENTS, "lp_test"))
        self.assertNotIn("x-forwarded-email", call.headers)

    def test_plain_text_is_taken_alike(self: Any) -> None:
        reply = self.ask("POST", EVENTS, {"events": [{}]}, {**JO, "content-type": "text/plain"})
        self.assertEqual(reply.status, 202)
        self.assertEqual(self.ingest.calls[0].headers["content-type"], "application/json")

    def test_the_count_question_names_the_user(self: Any) -> None:
        self.ingest.answer = lambda call: Answer(200, {"count": 3})
        reply = self.ask("GET", COUNT, query="time_range=24h&user_id=boss&session_id=s", headers=JO)
        self.assertEqual((reply.status, reply.body), (200, {"count": 3}))
        want = {"time_range": ["24h"], "session_id": ["s"], "user_id": ["jo@example.com"]}
        self.assertEqual(self.ingest.calls[0].query, want)

    def test_without_a_key_the_user_goes_as_a_header(self: Any) -> None:
        options = {"api_key": None, "dev_user": "dev@localhost"}
        self.ask("POST", EVENTS, {"events": [{}]}, {}, **options)
        self.ask("GET", COUNT, query="user_id=boss", **options)
        self.assertEqual([c.headers["x-forwarded-email"] for c in self.ingest.calls], ["dev@localhost"] * 2)
        self.assertEqual(self.ingest.calls[1].query, {})

    def test_requests_that_are_refused_never_reach_ingest(self: Any) -> None:
        many = {"events": [{}] * 1001}
        for status, method, path, body, headers in (
            (401, "POST", EVENTS, {"events": [{}]}, {}),
            (401, "GET", COUNT, b"", {}),
            (405, "GET", EVENTS, b"", JO),
            (405, "POST", COUNT, b"", JO),
            (403, "POST", EVENTS, {"events": [{}]}, {**JO, "sec-fetch-site": "cross-site"}),
            (403, "POST", EVENTS, {"events": [{}]}, {**JO, "sec-fetch-site": "same-site"}),
            (415, "POST", EVENTS, {"events": [{}]}, {**JO, "content-encoding": "gzip"}),
            (413, "POST", EVENTS, b" " * (MAX_BODY + 1), JO),
            (413, "POST", EVENTS, many, JO),
            (400, "POST", EVENTS, b"{", JO),
            (400, "POST", EVENTS, b'{"events":[NaN]}', JO),
            (400, "POST", EVENTS, b"[" * 100_000, JO),
            (400, "POST", EVENTS, {"events": []}, JO),
            (400, "POST", EVENTS, {"events": {}}, JO),
            (400, "POST", EVENTS, [], JO),
        ):
            with self.subTest(status=status, method=method, body=str(body)[:30]):
                reply = self.ask(method, path, body, {**headers, "x-correlation-id": "c-1"})
                self.assertEqual((reply.status, reply.body["status_code"]), (status, status))
                self.assertEqual(reply.headers["X-Correlation-ID".lower()], "c-1")
        self.assertEqual(self.ingest.calls, [])
        reply = self.ask("POST", EVENTS, many, JO)
        self.assertEqual(reply.body["detail"], "Batch size exceeds maximum of 1000 events")
        self.assertEqual((reply.body["max_batch_size"], reply.body["received"]), (1000, 1001))

    def test_pages_of_another_site_are_refused_however_their_browser_tells(self: Any) -> None:
        own = {"host": "orders.example.com"}
        for headers, status in (
            ({**own, "origin": "https://orders.example.com"}, 202),
            ({**own, "origin": "http://Orders.example.com"}, 202),
            ({"host": "10.0.0.7:8000", "x-forwarded-host": "orders.example.com", "origin": "https://orders.example.com"}, 202),
            (own, 202),
            ({**own, "sec-fetch-site": "same-origin", "origin": "http://other.example"}, 202),
            ({**own, "sec-fetch-site": "none"}, 202),
            ({**own, "origin": "https://evil.example"}, 403),
            ({**own, "origin": "https://orders.example.com:8443"}, 403),
            ({**own, "origin": "https://orders.example.com.evil.example"}, 403),
            ({**own, "origin": "null"}, 403),
            ({**own, "origin": "http://[bad"}, 403),
            ({"origin": "https://orders.example.com"}, 403),
            ({**own, "sec-fetch-site": "cross-site", "origin": "https://orders.example.com"}, 403),
            ({**own, "sec-fetch-site": "same-site"}, 403),
            ({**own, "sec-fetch-site": "anything"}, 403),
        ):
            with self.subTest(headers):
                before = len(self.ingest.calls)
                reply = self.ask("POST", EVENTS, {"events": [{}]}, {**JO, **headers})
                self.assertEqual(reply.status, status)
                self.assertEqual(len(self.ingest.calls) - before, 1 if status == 202 else 0)

    def test_another_sites_page_hears_nothing_of_who_is_signed_in(self: Any) -> None:
        for user in ({}, JO):
            reply = self.ask("POST", EVENTS, {"events": [{}]}, {**user, "host": "a", "origin": "https://evil.example"})
            self.assertEqual(reply.status, 403)

    def test_headers_that_anybody_can_send_name_nobody(self: Any) -> None:
        for options, status in (
            ({"trust_forwarded": None}, 401),
            ({"trust_forwarded": False}, 401),
            ({"trust_forwarded": True}, 202),
            ({"trust_forwarded": None, "api_key": None, "dev_user": "me@localhost"}, 202),
        ):
            with self.subTest(options):
                self.assertEqual(self.ask("POST", EVENTS, {"events": [{}]}, JO, **options).status, status)
        self.assertEqual([e["user_id"] for e in self.ingest.usage()], ["jo@example.com"] * 2)

    def test_a_refusal_for_want_of_a_user_says_what_to_set(self: Any) -> None:
        for options, said, unsaid in (
            ({"api_key": None}, ("LAKEPULSE_DEV_USER", "LAKEPULSE_TRUST_FORWARDED", "user_id="), ()),
            # With a key, dev_user is refused at start: naming it would lead nowhere.
            ({}, ("LAKEPULSE_TRUST_FORWARDED", "user_id="), ("LAKEPULSE_DEV_USER",)),
            ({"trust_forwarded": True}, ("user_id=",), ("LAKEPULSE_TRUST_FORWARDED", "LAKEPULSE_DEV_USER")),
        ):
            with self.subTest(options):
                message = self.ask("POST", EVENTS, {"events": [{}]}, {}, **{"trust_forwarded": None, **options}).body["message"]
                for word in said:
                    self.assertIn(word, message)
                for word in unsaid:
                    self.assertNotIn(word, message)

    def test_refusals_use_the_words_of_the_contract(self: Any) -> None:
        for error, method, body, headers, options in (
            ("unauthenticated", "POST", {"events": [{}]}, {}, {}),
            ("forbidden", "POST", {"events": [{}]}, {**JO, "origin": "https://evil.example"}, {}),
            ("method_not_allowed", "GET", b"", JO, {}),
            ("unsupported_media", "POST", b"x", {**JO, "content-encoding": "gzip"}, {}),
            ("payload_too_large", "POST", {"events": [{}] * 1001}, JO, {}),
            ("invalid_request", "POST", b"{", JO, {}),
        ):
            with self.subTest(error):
                reply = self.ask(method, EVENTS, body, headers, **options)
                self.assertEqual(reply.body["error"], error)
        self.ingest.answer = lambda call: Answer(500, {})
        self.assertEqual(self.ask("POST", EVENTS, {"events": [{}]}, JO).body["error"], "service_unavailable")
        self.assertEqual(self.ask("GET", EVENTS, b"", JO).headers["allow"], "POST")

    def test_ingests_word_on_the_batch_is_passed_on(self: Any) -> None:
        for status, headers in ((400, {}), (413, {}), (503, {"Retry-After": "7"}), (202, {})):
            with self.subTest(status):
                said = {"status_code": status, "rejected": [{"index": 0, "field": "f", "reason": "r"}]}
                self.ingest.answer = lambda call, s=status, b=said, h=headers: Answer(s, b, h)
                reply = self.ask("POST", EVENTS, {"events": [{}]}, {**JO, "x-correlation-id": "c-1"})
                self.assertEqual((reply.status, reply.body), (status, said))
                self.assertEqual(reply.headers.get("retry-after"), headers.get("Retry-After"))
                self.assertEqual(self.ingest.calls[-1].headers["x-correlation-id"], "c-1")

    def test_what_is_wrong_between_app_and_ingest_is_no_fault_of_the_page(self: Any) -> None:
        for status in (401, 403, 302, 404, 500, 502):
            with self.subTest(status):
                self.ingest.answer = lambda call, s=status: Answer(s, None, {"Location": "/login"}, b"<html>")
                reply = self.ask("POST", EVENTS, {"events": [{}]}, JO)
                self.assertEqual((reply.status, reply.headers["retry-after"]), (503, "30"))

    def test_an_ingest_that_hangs_is_not_waited_for_and_then_not_asked(self: Any) -> None:
        hold = threading.Event()
        self.addCleanup(hold.set)
        asked = []

        def hang(call: Any) -> Answer:
            asked.append(call)
            hold.wait(WAIT)
            return Answer()

        self.ingest.answer = hang
        app = self.app(self.client(relay_timeout=0.2, relay_concurrency=1))
        for _ in range(3):
            reply = self.ask("POST", EVENTS, {"events": [{}]}, JO, app=app)
            self.assertEqual(reply.status, 503)
            self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
        self.assertEqual(len(asked), 1)

    def test_an_ingest_that_comes_back_is_found(self: Any) -> None:
        self.ingest.answer = lambda call: Answer(503, {})
        client = self.client()
        app = self.app(client)
        self.assertEqual(self.ask("POST", EVENTS, {"events": [{}]}, JO, app=app).status, 503)
        self.assertEqual(self.ask("POST", EVENTS, {"events": [{}]}, JO, app=app).status, 503)
        self.assertEqual(len(self.ingest.calls), 1)
        self.ingest.answer = lambda call: Answer()
        app._relay._relay._closed_until = 0.0
        self.assertEqual(self.ask("POST", EVENTS, {"events": [{}]}, JO, app=app).status, 202)
        self.assertEqual(self.ask("POST", EVENTS, {"events": [{}]}, JO, app=app).status, 202)

    def test_the_callback_names_the_user(self: Any) -> None:
        self.ask("POST", EVENTS, {"events": [{}]}, JO, user_id=lambda request: "callback")
        self.assertEqual(self.ingest.calls[0].events[0]["user_id"], "callback")
        self.assertEqual(self.ask("POST", EVENTS, {"events": [{}]}, JO, user_id=lambda request: None).status, 401)

    def test_relayed_requests_are_no_records(self: Any) -> None:
        client = self.client()
        self.ask("POST", EVENTS, {"events": [{}]}, JO, client=client)
        self.assertEqual(client.stats().recorded, 0)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


class OverASGI(RelayRules, IngestCase):
    def app(self, client: Client, **more: Any) -> Any:
        return LakepulseMiddleware(asgi_ok, client, **more)

    def ask(
        self, method: str, path: str, body: Any = b"", headers: Optional[Dict[str, str]] = None, query: str = "",
        **options: Any,
    ) -> Reply:
        app = options.pop("app", None)
        if app is None:
            user_id, client = options.pop("user_id", None), options.pop("client", None)
            app = self.app(client or self.client(**options), user_id=user_id)
        return asyncio.run(over_asgi(app, method, path, _bytes(body), headers or {}, query))

    def test_it_can_be_mounted_by_hand(self) -> None:
        relay = LakepulseRelay(self.client())
        for path, root in ((EVENTS, ""), ("/usage-events", "/api/v1/metrics"), ("/sub" + EVENTS, "/sub")):
            with self.subTest(path):
                reply = asyncio.run(over_asgi(relay, "POST", path, b'{"events":[{}]}', JO, root_path=root))
                self.assertEqual(reply.status, 202)
        self.assertEqual(asyncio.run(over_asgi(relay, "GET", "/other", b"", JO)).status, 404)

    def test_without_relay_the_app_answers(self) -> None:
        sent: List[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        app = LakepulseMiddleware(asgi_ok, self.client(), relay=False)
        asyncio.run(app(scope_for(EVENTS), None, send))
        self.assertEqual(sent[0]["status"], 200)


class OverWSGI(RelayRules, IngestCase):
    def app(self, client: Client, **more: Any) -> Any:
        return LakepulseWSGIMiddleware(wsgi_ok, client, **more)

    def ask(
        self, method: str, path: str, body: Any = b"", headers: Optional[Dict[str, str]] = None, query: str = "",
        **options: Any,
    ) -> Reply:
        app = options.pop("app", None)
        if app is None:
            user_id, client = options.pop("user_id", None), options.pop("client", None)
            app = self.app(client or self.client(**options), user_id=user_id)
        return over_wsgi(app, method, path, _bytes(body), headers or {}, query)

    def test_a_body_without_a_length_is_read_only_where_it_ends(self) -> None:
        for terminated, status in ((True, 202), (False, 400)):
            started: List[str] = []
            environ = environ_for(EVENTS, REQUEST_METHOD="POST", HTTP_X_FORWARDED_EMAIL="jo")
            environ.update({"wsgi.input": io.BytesIO(b'{"events":[{}]}'), "wsgi.input_terminated": terminated})
            self.app(self.client())(environ, lambda s, h, *e, to=started: to.append(s))
            self.assertEqual(int(started[0][:3]), status)


if __name__ == "__main__":
    import unittest

    unittest.main()
