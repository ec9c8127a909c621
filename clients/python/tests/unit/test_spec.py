"""The cases that every client keeps: clients/spec. A member of a case that is not known here fails the test."""

from __future__ import annotations

import asyncio
import io
import json
import unittest
from email.message import Message
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from unittest import mock

from lakepulse import Client, LakepulseMiddleware, LakepulseRelay, LakepulseWSGIMiddleware, LakepulseWSGIRelay
from lakepulse._answers import Kind, judge
from lakepulse._backoff import pause
from lakepulse._endpoints import Exclusions, clean_template, reduce_path
from lakepulse._options import options_from
from lakepulse._record import identity_from, method_name
from lakepulse._relay import ERRORS
from lakepulse._transport import Answer as IngestAnswer

from ..fake_ingest import WAIT, Answer, Call
from .ingest_case import IngestCase, record
from .test_asgi import never, scope_for
from .test_relay import Reply, over_asgi, over_wsgi
from .test_wsgi import environ_for

SPEC = Path(__file__).resolve().parents[3] / "spec"
NOON = 1772366400.0  # 2026-03-01T12:00:00Z


def cases(name: str, *members: str) -> Iterator[Any]:
    """Yield the cases of a file whose members are all known."""
    found = json.loads((SPEC / f"{name}.json").read_text("utf-8"))["cases"]
    if not found:
        raise AssertionError(f"{name}.json has no cases")
    for case in found:
        unknown = set(case) - set(members)
        if unknown:
            raise AssertionError(f"{name}.json: this client does not know {sorted(unknown)}")
        yield case


class Names(unittest.TestCase):
    def test_every_file_is_run(self) -> None:
        run = {"paths", "paths-generated", "exclusions", "methods", "templates", "endpoints", "status", "identity", "usage"}
        run |= {"apps", "answers", "backoff", "drops", "relay", "errors"}
        other_clients = {"fields"}  # no cases: generated from the table of an event's fields
        self.assertEqual({path.stem for path in SPEC.glob("*.json")}, run | other_clients)

    def test_paths(self) -> None:
        for case in cases("paths", "path", "endpoint"):
            with self.subTest(case["path"][:60]):
                self.assertEqual(reduce_path(case["path"]), case["endpoint"])

    def test_paths_made_at_random(self) -> None:
        found = json.loads((SPEC / "paths-generated.json").read_text("utf-8"))["cases"]
        self.assertGreater(len(found), 4000)
        self.assertEqual([[path, reduce_path(path)] for path, _ in found], found)

    def test_exclusions(self) -> None:
        for case in cases("exclusions", "exclude", "path", "excluded"):
            with self.subTest(case):
                self.assertEqual(Exclusions(case["exclude"]).excludes(case["path"]), case["excluded"])

    def test_methods(self) -> None:
        for case in cases("methods", "method", "recorded"):
            with self.subTest(case):
                self.assertEqual(method_name(case["method"]), case["recorded"])

    def test_templates(self) -> None:
        for case in cases("templates", "syntax", "template", "endpoint"):
            if case["syntax"] in ("angles", "braces"):
                with self.subTest(case["template"]):
                    self.assertEqual(clean_template(case["template"]), case["endpoint"])

    def test_apps(self) -> None:
        for case in cases("apps", "app", "valid"):
            with self.subTest(case["app"]):
                if case["valid"]:
                    self.assertEqual(options_from({"app_name": case["app"]}, {}).app_name, case["app"])
                elif case["app"]:
                    self.assertRaises(ValueError, options_from, {"app_name": case["app"]}, {})
                else:
                    self.assertIsNone(options_from({"app_name": ""}, {}).app_name)

    def test_errors(self) -> None:
        known = {case["error"]: case["status"] for case in cases("errors", "error", "status")}
        for error, status in ERRORS.items():
            self.assertEqual(known.get(error), status)

    def test_identity(self) -> None:
        read = ("user_id", "session_id", "interaction_id", "trace_id", "correlation_id")
        for case in cases("identity", "name", "headers", "trust_forwarded", *read):
            with self.subTest(case["name"]):
                headers = {name.lower(): value for name, value in case["headers"].items()}
                found = identity_from(headers, case["trust_forwarded"])._asdict()
                self.assertEqual({name: found[name] or "" for name in read}, {name: case[name] for name in read})


class Pauses(unittest.TestCase):
    def test_backoff(self) -> None:
        for case in cases("backoff", "attempt", "retry_after_ms", "least_ms", "most_ms"):
            asked = case.get("retry_after_ms")
            for chance in (0.0, 0.31, 0.999999, 1.0):
                with self.subTest(case, chance=chance):
                    with mock.patch("random.uniform", lambda low, high, c=chance: low + (high - low) * c):
                        found = pause(case["attempt"], None if asked is None else asked / 1000) * 1000
                    self.assertGreaterEqual(round(found, 3), case["least_ms"])
                    self.assertLessEqual(round(found, 3), case["most_ms"])

    def test_answers(self) -> None:
        members = ("name", "events", "status", "headers", "body", "class", "accepted", "rejected", "retry_after_ms")
        for case in cases("answers", *members):
            with self.subTest(case["name"]):
                headers = Message()
                for name, value in case["headers"].items():
                    headers[name] = value
                answer = IngestAnswer(case["status"], headers, case["body"].encode())
                verdict = judge(answer, case["events"], NOON)
                self.assertEqual(verdict.kind.value, case["class"])
                if "accepted" in case:
                    rejected = len(verdict.rejected)
                    self.assertEqual((case["events"] - rejected, rejected), (case["accepted"], case["rejected"]))
                asked = case.get("retry_after_ms")
                self.assertEqual(verdict.retry_after, None if asked is None else asked / 1000)

    def test_the_verdict_names_every_class(self) -> None:
        classes = {case["class"] for case in json.loads((SPEC / "answers.json").read_text())["cases"]}
        self.assertEqual({kind.value for kind in Kind}, classes)


class Drops(IngestCase):
    def test_drops(self) -> None:
        for case in cases("drops", "name", "steps"):
            with self.subTest(case["name"]):
                self.ingest.calls.clear()
                client = self.client()
                queue = client._performance
                for step in case["steps"]:
                    self.assertLessEqual(set(step), {"dropped", "answer", "reported", "dropped_meanwhile"})
                    queue.add_lost(step["dropped"])
                    self.ingest.answer = self.answer(step, queue)
                    record(client)
                    before = len(self.ingest.calls)
                    client._sender.flush(WAIT)
                    self.assertEqual(self.ingest.calls[before].body.get("dropped", 0), step["reported"])

    def answer(self, step: Any, queue: Any) -> Callable[[Call], Answer]:
        def refuse_all(call: Call) -> Answer:
            reasons = [{"index": n, "field": "endpoint", "reason": "x"} for n in range(len(call.events))]
            return Answer(400, {"rejected": reasons})

        def said(call: Call) -> Answer:
            queue.add_lost(step.get("dropped_meanwhile", 0))
            if step["answer"] == "all refused":
                return refuse_all(call)
            return Answer() if step["answer"] == "accepted" else Answer(503, {})

        return said


class Endpoints(IngestCase):
    def test_endpoints(self) -> None:
        for case in cases("endpoints", "name", "max_endpoints", "max_unmatched", "requests"):
            for ask in (self.over_asgi, self.over_wsgi):
                with self.subTest(case["name"], way=ask.__name__):
                    self.ingest.calls.clear()
                    client = self.client(max_endpoints=case["max_endpoints"])
                    client.unmatched_names._limit = case["max_unmatched"]
                    for request in case["requests"]:
                        self.assertLessEqual(set(request), {"path", "status", "template", "endpoint"})
                        ask(client, request)
                    self.assertTrue(client.flush(WAIT))
                    wanted = [request["endpoint"] for request in case["requests"]]
                    self.assertEqual([event["endpoint"] for event in self.ingest.performance()], wanted)

    def over_asgi(self, client: Client, request: Any) -> None:
        class Route:
            path = request.get("template")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if Route.path:
                scope["route"] = Route
            await send({"type": "http.response.start", "status": request["status"], "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def send(message: Any) -> None:
            return None

        asyncio.run(LakepulseMiddleware(app, client)(scope_for(request["path"]), never, send))

    def over_wsgi(self, client: Client, request: Any) -> None:
        def app(environ: Any, start_response: Any) -> List[bytes]:
            if "template" in request:
                environ["lakepulse.rule"] = request["template"]
            start_response(f"{request['status']} X", [])
            return [b""]

        list(LakepulseWSGIMiddleware(app, client)(environ_for(request["path"]), lambda *a: lambda data: None))


class Status(IngestCase):
    MEMBERS = ("name", "answered", "left", "raised", "elapsed_ms", "content_length", "content_type", "sent", "method")

    def test_status_over_asgi(self) -> None:
        self.run_all(self.over_asgi)

    def test_status_over_wsgi(self) -> None:
        # A WSGI app learns that its client has left when the server fails to write: never before its answer.
        self.run_all(self.over_wsgi, lambda case: case.get("left") != "before the answer")

    def run_all(self, ask: Callable[[Client, Any], None], concerns: Callable[[Any], bool] = lambda case: True) -> None:
        for case in cases("status", *self.MEMBERS, "status", "error_type"):
            if not concerns(case):
                continue
            with self.subTest(case["name"]):
                self.ingest.calls.clear()
                client = self.client()
                self.clock = 0.0
                with mock.patch("lakepulse._client.time.perf_counter", lambda: self.clock):
                    ask(client, case)
                self.assertTrue(client.flush(WAIT))
                (event,) = self.ingest.performance()
                self.assertEqual(event["status_code"], case["status"])
                error_type = event.get("error_type", "")
                self.assertEqual(bool(error_type) and "*" if case["error_type"] == "*" else error_type, case["error_type"])

    def headers(self, case: Any) -> List[Tuple[str, str]]:
        found = [("Content-Type", case.get("content_type", "text/plain"))]
        if "content_length" in case:
            found.append(("Content-Length", str(case["content_length"])))
        return found

    def over_asgi(self, client: Client, case: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            left: Optional[str] = case.get("left")
            if left == "before the answer":
                await receive()
            streams = "event-stream" in case.get("content_type", "")
            if not streams:
                self.clock = case.get("elapsed_ms", 5) / 1000
            if case["answered"] is not None:
                heads = [(name.lower().encode(), value.encode()) for name, value in self.headers(case)]
                await send({"type": "http.response.start", "status": case["answered"], "headers": heads})
                body = b"x" * case.get("sent", 0)
                whole = left is None and "raised" not in case or left == "before the answer" or (
                    left == "after the body" and "content_length" not in case
                )
                await send({"type": "http.response.body", "body": body, "more_body": not whole})
            self.clock = case.get("elapsed_ms", 5) / 1000
            if left in ("in the body", "after the body"):
                await receive()
            if "raised" in case:
                raise RuntimeError("on purpose")

        async def send(message: Any) -> None:
            return None

        async def gone() -> Any:
            return {"type": "http.disconnect"}

        scope = {**scope_for(), "method": case.get("method", "GET")}
        try:
            asyncio.run(LakepulseMiddleware(app, client)(scope, gone, send))
        except RuntimeError:
            self.assertIn("raised", case)

    def over_wsgi(self, client: Client, case: Any) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            streams = "event-stream" in case.get("content_type", "")
            if not streams:
                self.clock = case.get("elapsed_ms", 5) / 1000
            if case["answered"] is not None:
                start_response(f"{case['answered']} X", self.headers(case))

            def body() -> Iterator[bytes]:
                yield b"x" * case.get("sent", 0)
                if "raised" in case:
                    raise RuntimeError("on purpose")

            if case["answered"] is None:
                if "raised" in case:
                    raise RuntimeError("on purpose")
            return body()

        environ = environ_for(REQUEST_METHOD=case.get("method", "GET"))
        try:
            chunks: Any = LakepulseWSGIMiddleware(app, client)(environ, lambda *a: lambda data: None)
            if "left" in case:
                next(iter(chunks))
            else:
                list(chunks)
            if hasattr(chunks, "close"):
                chunks.close()
        except RuntimeError:
            self.assertIn("raised", case)


class Usage(IngestCase):
    def test_usage(self) -> None:
        for case in cases("usage", "name", "event", "field"):
            with self.subTest(case["name"]):
                client = self.client()
                refused: List[str] = []
                client.throttle.warn = lambda kind, message, *args: refused.append(message % args)  # type: ignore
                self.assertEqual(client.track(**case["event"]), not case["field"])
                if case["field"]:
                    self.assertIn(f"{case['field']}: ", refused[0])
                else:
                    client.flush(WAIT)
                    stored = self.ingest.usage()[-1]
                    self.assertEqual({name: stored[name] for name in case["event"]}, case["event"])


class Relay(IngestCase):
    ENVIRONMENT = {"DATABRICKS_APP_NAME", "LAKEPULSE_TRUST_FORWARDED"}
    OPTIONS = {"key": "api_key", "app": "app_name", "dev_user": "dev_user", "trust_forwarded": "trust_forwarded"}

    def test_relay_over_asgi(self) -> None:
        self.run_all(self.over_asgi)

    def test_relay_over_wsgi(self) -> None:
        self.run_all(self.over_wsgi)

    def run_all(self, ask: Callable[[Client, Any, bytes], Reply]) -> None:
        for case in cases("relay", "name", "env", "config", "request", "answer", "forwarded", "ingest"):
            with self.subTest(case["name"]):
                self.ingest.calls.clear()
                self.ingest.answer = self.ingests_answer(case)
                client = self.made(case)
                reply = ask(client, case["request"], self.body(case["request"]))
                self.compare(case, reply)

    def made(self, case: Any) -> Client:
        config = dict(case["config"])
        options: Dict[str, Any] = {"url": config.pop("url", self.ingest.url), "journal": "", "relay_timeout": 20}
        if case.get("ingest", {}).get("status") == 0:
            options["url"] = "http://127.0.0.1:9"
        for name, value in config.items():
            options[self.OPTIONS[name]] = value
        self.assertLessEqual(set(case["env"]), self.ENVIRONMENT)
        with mock.patch.dict("os.environ", case["env"], clear=True):
            client = Client(**options)
        self.addCleanup(client.close, 0.0)
        return client

    def ingests_answer(self, case: Any) -> Callable[[Call], Answer]:
        said = case.get("ingest", {"status": 202})
        self.assertLessEqual(set(said), {"status", "headers", "body"})
        raw = None if said.get("body") is None else said["body"].encode()
        return lambda call: Answer(said["status"], None, said.get("headers", {}), raw)

    def body(self, request: Any) -> bytes:
        self.assertLessEqual(set(request), {"method", "path", "query", "headers", "body", "body_events", "body_bytes"})
        if "body_events" in request:
            return json.dumps({"events": [{}] * request["body_events"]}).encode()
        if "body_bytes" in request:
            frame = b'{"events":["%s"]}'
            return frame % (b"x" * (request["body_bytes"] - len(frame) + 2))
        found: str = request.get("body", "")
        return found.encode()

    def over_asgi(self, client: Client, request: Any, body: bytes) -> Reply:
        headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
        path, _, query = request["path"].partition("?")
        middleware = LakepulseMiddleware(never, client)
        app: Any = middleware._relay or LakepulseRelay(client)
        return asyncio.run(over_asgi(app, request["method"], path, body, headers, request.get("query", query)))

    def over_wsgi(self, client: Client, request: Any, body: bytes) -> Reply:
        path, _, query = request["path"].partition("?")
        app = LakepulseWSGIRelay(client)
        return over_wsgi(app, request["method"], path, body, request.get("headers", {}), request.get("query", query))

    def compare(self, case: Any, reply: Reply) -> None:
        wanted = dict(case["answer"])
        self.assertEqual(reply.status, wanted.pop("status"))
        for name, value in wanted.pop("headers", {}).items():
            self.assertIsNotNone(reply.headers.get(name.lower()), name)
            if value != "*":
                self.assertEqual(reply.headers[name.lower()], value)
        for name, value in wanted.pop("body", {}).items():
            self.assertEqual(reply.body.get(name), value, name)
        self.assertEqual(reply.body.get("error"), wanted.pop("error", None))
        self.assertEqual(wanted, {})
        if case["forwarded"] is None:
            self.assertEqual(self.ingest.calls, [])
            return
        (call,) = self.ingest.calls
        self.compare_forwarded(dict(case["forwarded"]), call)

    def compare_forwarded(self, wanted: Dict[str, Any], call: Call) -> None:
        self.assertEqual((call.method, call.path), (wanted.pop("method"), wanted.pop("path")))
        for name, value in wanted.pop("headers", {}).items():
            self.assertEqual(call.headers.get(name.lower()), value, name)
        if "query" in wanted:
            self.assertEqual({name: values[0] for name, values in call.query.items()}, wanted.pop("query"))
        if "dropped" in wanted:
            self.assertEqual(call.body.get("dropped", 0), wanted.pop("dropped"))
        if "events" in wanted:
            self.assertEqual(call.body["events"], wanted.pop("events"))
        self.assertEqual(wanted, {})
