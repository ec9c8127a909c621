"""python3 -m unittest discover -s deploy/job"""

from __future__ import annotations

import base64
import http.server
import json
import logging
import socket
import threading
import types
import unittest
import urllib.parse
from typing import Any

import trigger_aggregation as trigger

AMBIENT, EXCHANGED, STORED = "ambient-token", "exchanged-token", "stored-token"
SCOPE = "urn:databricks:params:oauth:token-type:personal-access-token"


class TestClock(trigger.Clock):
    """Time that passes only by sleeping, and tells what is to happen then."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        self.then: list[Any] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept.append(seconds)
        if self.then:
            self.then.pop(0)()


class Server(http.server.ThreadingHTTPServer):
    """The workspace and the app in one: answers are queued, requests are kept."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.seen: list[tuple[str, str, str]] = []
        self.correlation_ids: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.exchange_status = 200
        self.accepted = {EXCHANGED, STORED}
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()

    def answer(self, method: str, path: str, *answers: tuple[int, Any]) -> None:
        self.answers[f"{method} {path}"] = list(answers)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.reply()

    def do_POST(self) -> None:
        self.reply()

    def reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.server.seen.append((self.command, self.path, token))
        correlation_id = self.headers.get("X-Correlation-ID")
        if correlation_id:
            self.server.correlation_ids.append(correlation_id)
        status, answer = self.decide(body, token)
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        if correlation_id:
            self.send_header("X-Correlation-ID", correlation_id)
        if 300 <= status < 400:
            self.send_header("Location", self.server.url + "/login")
        lost = 1000 if answer == "LOST" else 0  # announced, but never sent
        self.send_header("Content-Length", str(len(data) + lost))
        self.end_headers()
        self.wfile.write(data)

    def decide(self, body: str, token: str) -> tuple[int, Any]:
        if self.path == "/oidc/v1/token":
            self.server.forms.append(dict(urllib.parse.parse_qsl(body)))
            return self.server.exchange_status, {"access_token": EXCHANGED}
        if self.path.startswith("/api/2.0/apps/"):
            return 200, {"url": self.server.url, "oauth2_app_client_id": "looked-up-audience"}
        if token not in self.server.accepted:
            return 302, "sign in"
        queue = self.server.answers[f"{self.command} {self.path}"]
        return queue.pop(0) if len(queue) > 1 else queue[0]


def run(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "r1", "status": status, "hours_done": 3, "rows_deleted": 7, **more}


class TriggerTest(unittest.TestCase):
    def setUp(self) -> None:
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.server = Server()
        self.addCleanup(lambda: self.server.stop())
        self.clock = TestClock()
        self.secrets = {"client-id": "an-id", "client-secret": "a-secret"}

    def client(self, **credentials: str) -> Any:
        """Stands in for WorkspaceClient."""
        if credentials:
            self.assertEqual(credentials["client_id"], "an-id")
            self.assertEqual(credentials["client_secret"], "a-secret")
        token = STORED if credentials else AMBIENT
        config = types.SimpleNamespace(
            host=self.server.url, auth_type="runtime", authenticate=lambda: {"Authorization": "Bearer " + token}
        )
        secrets = types.SimpleNamespace(
            get_secret=lambda _scope, key: types.SimpleNamespace(
                value=base64.b64encode(self.secrets[key].encode()).decode()
            )
        )
        return types.SimpleNamespace(config=config, secrets=secrets)

    def main(self, *more: str) -> int:
        argv = ["--app", "lakepulse", "--url", self.server.url, "--audience", "aud", *more]
        return trigger.main(argv, self.client, self.clock)

    def started_then(self, *states: dict[str, Any]) -> None:
        self.server.answer("POST", trigger.RUNS, (202, run("waiting")))
        self.server.answer("GET", trigger.RUNS + "/r1", *[(200, state) for state in states])

    def test_a_run_that_gets_done_is_success(self) -> None:
        self.started_then(run("running"), run("running"), run("done"))
        self.assertEqual(self.main(), trigger.EXIT_DONE)
        self.assertEqual(self.clock.slept, [10.0, 10.0, 10.0])

    def test_the_jobs_token_is_exchanged_for_the_apps_audience(self) -> None:
        self.started_then(run("done"))
        self.main()
        self.assertEqual(len(self.server.forms), 1)
        form = self.server.forms[0]
        self.assertEqual((form["audience"], form["subject_token"], form["subject_token_type"]), ("aud", AMBIENT, SCOPE))
        used = {token for _, path, token in self.server.seen if path.startswith(trigger.RUNS)}
        self.assertEqual(used, {EXCHANGED})

    def test_a_failed_run_is_failure(self) -> None:
        self.started_then(run("failed", failures=[{"message": "no such table"}]))
        self.assertEqual(self.main(), trigger.EXIT_FAILED)

    def test_a_run_with_some_failed_hours_is_failure(self) -> None:
        self.started_then(run("partial"))
        self.assertEqual(self.main(), trigger.EXIT_FAILED)

    def test_a_cold_start_is_waited_out(self) -> None:
        self.started_then(run("done"))
        cold = [(502, "<html>"), (503, {"error": "service_unavailable"}), (504, ""), (200, "<html>starting</html>")]
        self.server.answer("POST", trigger.RUNS, *cold, (202, run("waiting")))
        self.assertEqual(self.main(), trigger.EXIT_DONE)
        self.assertEqual(self.clock.slept, [1.0, 2.0, 4.0, 8.0, 10.0])

    def test_an_app_that_goes_away_and_comes_back_is_waited_for(self) -> None:
        self.started_then(run("running"), run("done"))
        port = self.server.server_address[1]
        answers = self.server.answers

        def back() -> None:
            self.server = Server(port)
            self.server.answers = answers

        self.clock.then = [self.server.stop, back]
        self.assertEqual(self.main(), trigger.EXIT_DONE)

    def test_an_answer_lost_half_way_is_asked_for_again(self) -> None:
        self.started_then(run("running"), run("done"))
        self.server.answer("POST", trigger.RUNS, (202, "LOST"), (202, run("waiting")))
        self.server.answer("GET", trigger.RUNS + "/r1", (200, "LOST"), (200, run("done")))
        self.assertEqual(self.main(), trigger.EXIT_DONE)

    def test_an_app_that_stays_away_is_failure(self) -> None:
        self.server.answer("POST", trigger.RUNS, (503, {"error": "service_unavailable"}))
        self.assertEqual(self.main("--timeout", "300"), trigger.EXIT_UNREACHABLE)
        self.assertLessEqual(self.clock.time, 300)

    def test_a_run_that_never_ends_is_failure(self) -> None:
        self.started_then(run("running"))
        self.assertEqual(self.main("--timeout", "300"), trigger.EXIT_UNREACHABLE)
        self.assertLessEqual(self.clock.time, 300)

    def test_a_token_that_expires_while_waiting_is_renewed(self) -> None:
        self.server.answer("POST", trigger.RUNS, (202, run("waiting")))
        self.server.answer("GET", trigger.RUNS + "/r1", (200, run("running")), (401, {}), (200, run("done")))
        self.assertEqual(self.main(), trigger.EXIT_DONE)
        self.assertEqual(len(self.server.forms), 2)

    def test_whom_the_app_does_not_know_is_told_so_at_once(self) -> None:
        self.server.accepted = set()
        self.assertEqual(self.main(), trigger.EXIT_UNREACHABLE)
        self.assertEqual(self.clock.slept, [])
        self.assertNotIn("/login", [path for _, path, _ in self.server.seen])

    def test_whom_the_app_does_not_allow_is_told_so_at_once(self) -> None:
        self.server.answer("POST", trigger.RUNS, (403, {"error": "forbidden"}))
        self.assertEqual(self.main(), trigger.EXIT_UNREACHABLE)
        self.assertEqual(self.clock.slept, [])

    def test_where_exchange_is_refused_the_stored_client_is_used(self) -> None:
        self.started_then(run("done"))
        self.server.exchange_status = 400
        self.assertEqual(self.main("--secret-scope", "lakepulse"), trigger.EXIT_DONE)
        used = {token for _, path, token in self.server.seen if path.startswith(trigger.RUNS)}
        self.assertEqual(used, {STORED})

    def test_without_a_stored_client_the_refusal_is_failure(self) -> None:
        self.server.exchange_status = 400
        self.assertEqual(self.main(), trigger.EXIT_UNREACHABLE)

    def test_an_exchange_that_fails_for_a_moment_is_repeated(self) -> None:
        self.started_then(run("done"))
        self.server.exchange_status = 503
        self.clock.then = [lambda: setattr(self.server, "exchange_status", 200)]
        self.assertEqual(self.main("--secret-scope", "lakepulse"), trigger.EXIT_DONE)

    def test_a_service_principals_own_token_needs_no_exchange(self) -> None:
        self.started_then(run("done"))
        self.server.accepted = {AMBIENT}
        client = self.client()
        client.config.auth_type = "oauth-m2m"
        argv = ["--app", "lakepulse", "--url", self.server.url, "--audience", "aud"]
        self.assertEqual(trigger.main(argv, lambda: client, self.clock), trigger.EXIT_DONE)
        self.assertEqual(self.server.forms, [])

    def test_address_and_audience_are_looked_up_by_name(self) -> None:
        self.started_then(run("done"))
        self.assertEqual(trigger.main(["--app", "lake pulse"], self.client, self.clock), trigger.EXIT_DONE)
        self.assertEqual(self.server.seen[0], ("GET", "/api/2.0/apps/lake%20pulse", AMBIENT))
        self.assertEqual(self.server.forms[0]["audience"], "looked-up-audience")

    def test_the_correlation_id_is_printed_whatever_happens(self) -> None:
        logging.disable(logging.NOTSET)
        for answers, level in (
            ([(202, run("done"))], "INFO"),
            ([(202, run("failed"))], "ERROR"),
            ([(503, {}), (202, run("done"))], "INFO"),
            ([(403, {"error": "forbidden"})], "ERROR"),
            ([(503, {})], "ERROR"),
        ):
            with self.subTest(answers), self.assertLogs(trigger.log, "INFO") as logged:
                self.server.answer("POST", trigger.RUNS, *answers)
                self.main("--timeout", "30")
            last = [r.getMessage() for r in logged.records if r.levelname == level][-1]
            self.assertIn(self.server.correlation_ids[-1], last)
            self.assertTrue(any(self.server.correlation_ids[-1] in r.getMessage() for r in logged.records[:1]))

    def test_nobody_listening_is_failure(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        argv = ["--app", "a", "--url", f"http://127.0.0.1:{port}", "--audience", "aud", "--timeout", "60"]
        self.assertEqual(trigger.main(argv, self.client, self.clock), trigger.EXIT_UNREACHABLE)


if __name__ == "__main__":
    unittest.main()
