"""The WSGI middleware, driven without a server; wsgiref's validator watches the protocol."""

from __future__ import annotations

import io
from typing import Any, Dict, Iterable, List, Optional
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

from lakepulse import LakepulseWSGIMiddleware

from ..fake_ingest import WAIT
from .ingest_case import IngestCase


def environ_for(path: str = "/orders/7", **more: Any) -> Dict[str, Any]:
    environ: Dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ.update({"PATH_INFO": path, "QUERY_STRING": "", "wsgi.input": io.BytesIO(), **more})
    return environ


def ok(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"o", b"k"])


class Case(IngestCase):
    def call(self, app: Any, environ: Optional[Dict[str, Any]] = None, **more: Any) -> Any:
        """Start one request through the middleware; return its body, unread."""
        self.started: List[str] = []
        self.middleware = LakepulseWSGIMiddleware(app, more.pop("client", None) or self.client(), **more)
        return self.middleware(environ or environ_for(), lambda status, headers, *exc: self.started.append(status))

    def stored(self) -> List[Dict[str, Any]]:
        self.assertTrue(self.middleware.client.flush(WAIT))
        return self.ingest.performance()

    def one(self) -> Dict[str, Any]:
        (event,) = self.stored()
        return event


class Recording(Case):
    def test_a_request_is_one_record_and_the_protocol_is_kept(self) -> None:
        client = self.client()
        wrapped = validator(LakepulseWSGIMiddleware(validator(ok), client))
        body = wrapped(environ_for(HTTP_X_FORWARDED_EMAIL="jo@example.com"), lambda s, h, e=None: lambda data: None)
        self.assertEqual(b"".join(body), b"ok")
        body.close()
        self.assertTrue(client.flush(WAIT))
        (event,) = self.ingest.performance()
        want = {"endpoint": "/orders/{id}", "method": "GET", "status_code": 200, "user_id": "jo@example.com"}
        self.assertEqual({name: event[name] for name in want}, want)

    def test_excluded_paths_are_left_alone(self) -> None:
        for path in ("/health", "/internal/x"):
            list(self.call(ok, environ_for(path)))
            self.assertEqual(self.stored(), [])

    def test_lists_and_files_reach_the_server_as_they_are(self) -> None:
        body = [b"x"]
        wrapped = FileWrapper(io.BytesIO(b"x"))
        for chunks in (body, wrapped):
            with self.subTest(type(chunks)):

                def app(environ: Any, start_response: Any, chunks: Any = chunks) -> Any:
                    start_response("200 OK", [])
                    return chunks

                got = self.call(app, environ_for(**{"wsgi.file_wrapper": FileWrapper}))
                self.assertIs(got, chunks)
                self.assertEqual(self.stored()[-1]["status_code"], 200)

    def test_an_exception_is_a_500_with_its_name_and_is_passed_on(self) -> None:
        def at_once(environ: Any, start_response: Any) -> Any:
            raise KeyError("x")

        def midway(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [])
            yield b"a"
            raise KeyError("x")

        for app in (at_once, midway):
            with self.subTest(app.__name__):
                with self.assertRaises(KeyError):
                    list(self.call(app))
                event = self.stored()[-1]
                self.assertEqual((event["status_code"], event["error_type"]), (500, "KeyError"))

    def test_a_client_that_leaves_is_told_apart(self) -> None:
        body = self.call(ok)
        next(body)
        body.close()
        self.assertEqual((self.one()["status_code"], self.one()["error_type"]), (499, "ClientDisconnected"))

    def test_a_response_of_the_promised_length_is_complete(self) -> None:
        def promises(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [("Content-Length", "2")])
            return iter([b"o", b"k", b""])

        for read, status in ((2, 200), (1, 499)):
            body = self.call(promises)
            for _ in range(read):
                next(body)
            body.close()
            self.assertEqual(self.stored()[-1]["status_code"], status)

    def test_a_head_request_needs_no_body_read(self) -> None:
        self.call(ok, environ_for(REQUEST_METHOD="HEAD")).close()
        self.assertEqual(self.one()["status_code"], 200)

    def test_a_request_past_the_threshold_is_a_timeout_even_if_it_never_ends(self) -> None:
        def hangs(environ: Any, start_response: Any) -> Any:
            self.ingest.wait_until(lambda: len(self.ingest.performance()) == 1)
            return ok(environ, start_response)

        list(self.call(hangs, client=self.client(timeout_threshold=0.05, flush_interval=0.02)))
        self.assertEqual((self.one()["status_code"], self.one()["error_type"]), (504, "Timeout"))

    def test_texts_are_utf_8(self) -> None:
        list(self.call(ok, environ_for("/caf\u00c3\u00a9", HTTP_X_FORWARDED_EMAIL="j\u00c3\u00b6@x")))
        self.assertEqual((self.one()["endpoint"], self.one()["user_id"]), ("/caf\u00e9", "j\u00f6@x"))

    def test_the_callback_names_the_user(self) -> None:
        list(self.call(ok, user_id=lambda environ: "jo"))
        self.assertEqual(self.one()["user_id"], "jo")
