"""From the app's threads to ingest: batches, retries, refusals, drops, clocks, forks and the end."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

from lakepulse import Client
from lakepulse._fields import PERFORMANCE_FIELDS, USAGE_FIELDS
from lakepulse._record import parse_rfc3339

from ..fake_ingest import WAIT, Answer, Call
from .ingest_case import IngestCase, record


def _once(first: Answer) -> "object":
    answers = [first]
    return lambda call: answers.pop() if answers else Answer()


class Wire(IngestCase):
    def test_a_record_carries_every_field(self) -> None:
        client = self.client(app_version="1.2", instance="web")
        record(client, "/items/<int:id>", 500, user_id="jo", session_id="s", interaction_id="i", correlation_id="c")
        self.assertTrue(client.flush(WAIT))
        (call,) = self.ingest.calls
        (event,) = call.events
        self.assertEqual(call.path, "/api/v1/metrics/performance-events")
        self.assertEqual(call.headers["x-lakepulse-key"], "lp_test")
        self.assertNotIn("authorization", call.headers)
        self.assertNotIn("dropped", call.body)
        self.assertIsNotNone(parse_rfc3339(event.pop("timestamp")))
        self.assertEqual(len(event.pop("id")), 36)
        self.assertEqual(event.pop("instance"), client.instance)
        want = {"app": "orders", "app_version": "1.2", "endpoint": "/items/{id}", "method": "GET", "status_code": 500}
        want.update(response_time_ms=1.5, error_type="500", user_id="jo", session_id="s", interaction_id="i")
        want.update(correlation_id="c", seq=1)
        self.assertEqual(event, want)

    def test_the_fields_are_those_of_the_table_that_all_share(self) -> None:
        client = self.client(app_version="1")
        every = {"user_id": "u", "session_id": "s", "interaction_id": "i", "trace_id": "0" * 31 + "1", "correlation_id": "c"}
        record(client, "/x", 500, **every)
        usage = {"user_id": "u", "event_type": "a", "page_name": "p", "element_id": "e", "success": True, "metadata": {}}
        client.track(**usage, session_id="s", interaction_id="i")
        self.assertTrue(client.flush(WAIT))
        self.assertEqual(tuple(self.ingest.performance()[0]), PERFORMANCE_FIELDS)
        # Only the browser counts its events.
        self.assertEqual(tuple(self.ingest.usage()[0]) + ("seq",), USAGE_FIELDS)

    def test_a_full_batch_goes_at_once_and_large_bodies_are_compressed(self) -> None:
        client = self.client(batch_size=10)
        for _ in range(10):
            record(client)
        self.ingest.wait_until(lambda: len(self.ingest.performance()) == 10)
        self.assertEqual(self.ingest.calls[0].headers["content-encoding"], "gzip")
        self.assertEqual([event["seq"] for event in self.ingest.performance()], list(range(1, 11)))

    def test_an_interval_sends_what_there_is(self) -> None:
        record(self.client(flush_interval=0.05))
        self.ingest.wait_until(lambda: len(self.ingest.performance()) == 1)

    def test_batches_are_never_larger_than_told(self) -> None:
        client = self.client(batch_size=100)
        for _ in range(250):
            record(client)
        self.assertTrue(client.flush(WAIT))
        self.assertEqual(len(self.ingest.performance()), 250)
        self.assertLessEqual(max(len(call.events) for call in self.ingest.calls), 100)

    def test_the_platforms_token_goes_beside_the_key(self) -> None:
        for token, header in (("abc", "Bearer abc"), ("Basic xyz", "Basic xyz")):
            client = self.client(token_provider=lambda token=token: token)
            record(client)
            client.flush(WAIT)
            self.assertEqual(self.ingest.calls[-1].headers["authorization"], header)
            self.assertEqual(self.ingest.calls[-1].headers["x-lakepulse-key"], "lp_test")

    def test_usage_events_from_the_server(self) -> None:
        client = self.client(app_version="1.2")
        metadata = {"rows": 3}
        self.assertTrue(client.track(user_id="jo", event_type="query_executed", success=True, metadata=metadata))
        metadata["rows"] = 4
        client.flush(WAIT)
        (event,) = self.ingest.usage()
        self.assertTrue(event.pop("id") and event.pop("timestamp"))
        want = {"app": "orders", "app_version": "1.2", "event_type": "query_executed", "user_id": "jo"}
        self.assertEqual(event, {**want, "success": True, "metadata": {"rows": 3}})

    def test_a_record_that_has_no_form_on_the_wire_is_left_out(self) -> None:
        client = self.client()
        for bad in ({"response_time_ms": float("nan")}, {"started_at": 1e20}, {"response_time_ms": float("inf")}):
            client.record(**{"endpoint": "/", "method": "GET", "status_code": 200, "response_time_ms": 1.0, **bad})
        record(client)
        self.assertTrue(client.flush(WAIT))
        self.assertEqual(len(self.ingest.performance()), 1)

    def test_a_usage_event_that_ingest_would_refuse_is_not_queued(self) -> None:
        client = self.client()
        for bad in (
            {"user_id": "", "event_type": "a"},
            {"user_id": "u", "event_type": "No"},
            {"user_id": "u", "event_type": "a", "metadata": {"x": "y" * 9000}},
            {"user_id": "u", "event_type": "a", "metadata": {"x": object()}},
            {"user_id": "u", "event_type": "a", "metadata": {"x": float("nan")}},
        ):
            with self.subTest(bad):
                self.assertFalse(client.track(**bad))
        self.assertEqual(client.stats().recorded, 0)


class Trouble(IngestCase):
    def test_a_retry_sends_the_same_events(self) -> None:
        self.ingest.answer = _once(Answer(503, {}, {"Retry-After": "120"}))
        client = self.client()
        record(client)
        self.assertFalse(client.flush(WAIT))
        self.assertEqual(client.stats().last_error, "status 503")
        self.assertTrue(client.flush(WAIT))
        first, second = self.ingest.calls
        self.assertEqual(first.body, second.body)
        stats = client.stats()
        self.assertEqual((stats.accepted, stats.retries, stats.waiting, stats.last_error), (1, 1, 0, None))

    def test_it_retries_by_itself(self) -> None:
        self.ingest.answer = _once(Answer(500, {}))
        client = self.client(flush_interval=0.05)
        record(client)
        self.ingest.wait_until(lambda: len(self.ingest.calls) == 2)
        self.assertEqual(self.ingest.calls[0].events, self.ingest.calls[1].events)

    def test_retry_after_is_kept(self) -> None:
        self.ingest.answer = _once(Answer(503, {}, {"Retry-After": "120"}))
        client = self.client()
        record(client)
        client.flush(WAIT)
        self.assertGreaterEqual(client._performance.retry_at - time.monotonic(), 100)

    def test_an_ingest_that_is_not_there_costs_nothing_but_the_buffer(self) -> None:
        client = Client(url="http://127.0.0.1:9", buffer_size=50, batch_size=10, request_timeout=1)
        self.addCleanup(client.close, 0.0)
        for _ in range(1000):
            record(client)
        stats = client.stats()
        self.assertEqual(stats.recorded, 1000)
        self.assertEqual(stats.accepted, 0)
        self.assertEqual(stats.dropped + stats.waiting, 1000)
        self.assertLessEqual(stats.waiting, 60)

    def test_drops_are_reported_once_with_the_next_batch(self) -> None:
        client = self.client(buffer_size=3)
        for _ in range(10):
            record(client)
        self.assertTrue(client.flush(WAIT))
        record(client)
        self.assertTrue(client.flush(WAIT))
        self.assertEqual([call.body.get("dropped") for call in self.ingest.calls], [7, None])
        # seq counts what was made, so that the gap proves the loss.
        self.assertEqual([event["seq"] for event in self.ingest.performance()], [1, 2, 3, 11])
        self.assertEqual(client.stats().dropped, 7)

    def test_an_outage_is_bridged_within_the_buffer_and_what_is_too_much_is_reported(self) -> None:
        self.ingest.answer = lambda call: Answer(503, {}, {"Retry-After": "30"})
        client = self.client(buffer_size=600, batch_size=100)
        for minute in range(10):
            for _ in range(100):
                record(client)
            client.flush(WAIT)
            self.assertLessEqual(client.stats().waiting, 700)
        first = {json.dumps(call.events) for call in self.ingest.calls}
        self.assertEqual(len(first), 1)  # the same batch under the same ids, each time
        lost = client.stats().dropped
        self.assertEqual(client.stats().waiting + lost, 1000)
        self.assertGreater(lost, 0)
        self.ingest.calls.clear()
        self.ingest.answer = lambda call: Answer()
        self.assertTrue(client.flush(WAIT))
        sent = self.ingest.performance()
        self.assertEqual([e["seq"] for e in sent], list(range(1, 1001 - lost)))
        self.assertEqual([call.body.get("dropped", 0) for call in self.ingest.calls][:2], [lost, 0])
        self.assertEqual((client.stats().accepted, client.stats().dropped), (1000 - lost, lost))

    def test_it_stays_away_as_long_as_it_is_asked_to(self) -> None:
        self.ingest.answer = lambda call: Answer(503, {}, {"Retry-After": "30"})
        client = self.client()
        record(client)
        client.flush(WAIT)
        for _ in range(20):
            record(client)
            client._sender._tick(None)
        self.assertEqual(len(self.ingest.calls), 1)
        self.assertGreaterEqual(client._performance.retry_at - time.monotonic(), 25)

    def test_rejected_events_are_counted_and_logged_once(self) -> None:
        rejected = [{"index": 1, "id": "x", "field": "endpoint", "reason": "is required"}]
        self.ingest.answer = lambda call: Answer(202, {"events_received": 1, "rejected": rejected})
        logger = logging.getLogger("lakepulse.test")
        client = self.client(logger=logger)
        with self.assertLogs(logger, "WARNING") as logged:
            for _ in range(3):
                record(client)
                record(client)
                client.flush(WAIT)
        self.assertEqual((client.stats().accepted, client.stats().rejected), (3, 3))
        self.assertEqual(len(logged.output), 1)
        self.assertIn("endpoint: is required", logged.output[0])

    def test_a_batch_of_which_nothing_is_taken_is_not_sent_again(self) -> None:
        each = [{"index": 0, "field": "endpoint", "reason": "is required"}]
        for said, counts in (({"message": "no", "rejected": []}, (0, 1)), ({"rejected": each}, (1, 0))):
            with self.subTest(said):
                self.ingest.calls.clear()
                self.ingest.answer = _once(Answer(400, said))
                client = self.client()
                record(client)
                self.assertTrue(client.flush(WAIT))
                self.assertEqual((client.stats().rejected, client.stats().dropped), counts)
                self.assertEqual(len(self.ingest.calls), 1)

    def test_a_batch_that_is_too_large_is_halved(self) -> None:
        self.ingest.answer = lambda call: Answer(413, {}) if len(call.events) > 2 else Answer()
        client = self.client()
        for _ in range(8):
            record(client)
        self.assertTrue(client.flush(WAIT))
        stored = [call.events for call in self.ingest.calls if len(call.events) <= 2]
        self.assertEqual([e["seq"] for events in stored for e in events], list(range(1, 9)))
        self.assertEqual(client.stats().accepted, 8)

    def test_a_wrong_key_is_not_tried_for_ever(self) -> None:
        for answer in (Answer(401, {}), Answer(403, {}), Answer(302, {}, {"Location": "/login"}), Answer(200, {})):
            with self.subTest(answer.status):
                self.ingest.answer = lambda call, answer=answer: answer
                client = self.client()
                record(client)
                calls = len(self.ingest.calls)
                for _ in range(5):
                    self.assertFalse(client.flush(WAIT) and client.stats().dropped == 0)
                self.assertEqual(len(self.ingest.calls) - calls, 5)
                stats = client.stats()
                self.assertEqual((stats.refusals, stats.dropped, stats.waiting), (5, 1, 0))

    def test_a_token_that_cannot_be_had_is_retried_and_not_logged(self) -> None:
        def no_token() -> str:
            raise RuntimeError("secret")

        logger = logging.getLogger("lakepulse.test.token")
        for provider in (no_token, lambda: "sec\nret"):
            client = self.client(token_provider=provider, logger=logger)
            record(client)
            with self.assertLogs(logger, "WARNING") as logged:
                self.assertFalse(client.flush(WAIT))
            self.assertNotIn("sec", "".join(logged.output).replace("Sec", ""))
            self.assertEqual(client.stats().waiting, 1)


class Clocks(IngestCase):
    def test_a_wrong_clock_is_corrected_for_new_events(self) -> None:
        self.ingest.clock = lambda: 2_000_000_000.0
        client = self.client(clock=lambda: 1_999_996_400.0)
        for _ in range(2):
            record(client, started_at=1_999_996_400.0)
            client.flush(WAIT)
        times = [parse_rfc3339(event["timestamp"]) for event in self.ingest.performance()]
        self.assertEqual(times, [1_999_996_400.0, 2_000_000_000.0])
        self.assertEqual(client.stats().clock_offset, 3600.0)

    def test_clocks_that_agree_are_left_alone(self) -> None:
        self.ingest.clock = lambda: 2_000_000_000.4
        client = self.client(clock=lambda: 2_000_000_000.0)
        record(client)
        client.flush(WAIT)
        self.assertEqual(client.stats().clock_offset, 0.0)

    def test_events_refused_for_their_time_go_once_more_under_the_same_id(self) -> None:
        def answer(call: Call) -> Answer:
            late = [
                {"index": i, "id": e["id"], "field": "timestamp", "reason": "too far ahead"}
                for i, e in enumerate(call.events)
                if (parse_rfc3339(e["timestamp"]) or 0) > 2_000_000_300
            ]
            said = {"rejected": late, "server_time": "2033-05-18T03:33:20Z"}
            return Answer(400 if len(late) == len(call.events) else 202, said)

        self.ingest.answer = answer
        client = self.client(clock=lambda: 2_000_003_600.0)
        record(client, started_at=2_000_003_600.0)
        self.assertTrue(client.flush(WAIT))
        first, second = self.ingest.performance()
        self.assertEqual(first["id"], second["id"])
        self.assertEqual(parse_rfc3339(second["timestamp"]), 2_000_000_000.0)
        self.assertEqual((client.stats().accepted, client.stats().rejected), (1, 0))


class Life(IngestCase):
    def test_without_a_url_nothing_is_collected(self) -> None:
        client = Client(url="")
        record(client)
        self.assertFalse(client.track(user_id="u", event_type="a"))
        self.assertEqual(client.stats().recorded, 0)
        self.assertTrue(client.close())

    def test_close_sends_the_rest_and_drops_what_comes_later(self) -> None:
        client = self.client()
        record(client)
        self.assertTrue(client.close(WAIT))
        record(client)
        self.assertEqual(len(self.ingest.performance()), 1)
        self.assertEqual((client.stats().accepted, client.stats().dropped), (1, 1))

    def test_close_counts_what_it_could_not_send(self) -> None:
        self.ingest.answer = lambda call: Answer(503, {})
        client = self.client()
        record(client)
        self.assertFalse(client.close(WAIT))
        self.assertEqual((client.stats().dropped, client.stats().waiting), (1, 0))

    def test_many_threads_lose_and_double_nothing(self) -> None:
        client = self.client(batch_size=50)
        threads = [threading.Thread(target=lambda: [record(client) for _ in range(500)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(client.flush(WAIT))
        events = self.ingest.performance()
        self.assertEqual(len({event["id"] for event in events}), 4000)
        self.assertEqual(sorted(event["seq"] for event in events), list(range(1, 4001)))

    def test_a_forked_child_is_an_instance_of_its_own(self) -> None:
        client = self.client()
        record(client, "/parent")
        child = os.fork()
        if child == 0:
            record(client, "/child")
            os._exit(0 if client.close(WAIT) else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertTrue(client.flush(WAIT))
        made = {event["endpoint"]: event for event in self.ingest.performance()}
        self.assertEqual(len(self.ingest.performance()), 2)
        self.assertNotEqual(made["/parent"]["instance"], made["/child"]["instance"])
        self.assertEqual((made["/parent"]["seq"], made["/child"]["seq"]), (1, 1))

    def _run(self, code: str) -> None:
        source = str(Path(__file__).resolve().parents[2] / "src")
        env = {**os.environ, "PYTHONPATH": source, "LAKEPULSE_URL": self.ingest.url}
        done = subprocess.run([sys.executable, "-c", code], env=env, timeout=WAIT * 3, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_process_that_ends_sends_the_rest(self) -> None:
        self._run(
            "import lakepulse; c = lakepulse.Client(app_name='a')\n"
            "c.record(endpoint='/x', method='GET', status_code=200, response_time_ms=1)"
        )
        self.assertEqual(len(self.ingest.performance()), 1)

    def test_a_process_ends_though_ingest_hangs(self) -> None:
        hold = threading.Event()
        self.addCleanup(hold.set)
        self.ingest.answer = lambda call: Answer() if hold.wait(WAIT) else Answer()
        self._run(
            "import lakepulse, logging; logging.disable(); c = lakepulse.Client(app_name='a', exit_timeout=0.2)\n"
            "c.record(endpoint='/x', method='GET', status_code=200, response_time_ms=1)"
        )
        self.assertEqual(self.ingest.calls, [])


if __name__ == "__main__":
    unittest.main()
