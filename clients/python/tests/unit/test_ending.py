"""The end of the process: what waits is sent, or reported as dropped by the next process of the app."""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
from pathlib import Path

from lakepulse import Client

from ..fake_ingest import WAIT, Answer
from ..processes import RECORD_AND_WAIT, RECORD_ONE, ProcessCase
from .ingest_case import record


class Signals(ProcessCase):
    def test_sigterm_sends_what_waits_and_ends_the_process_as_before(self) -> None:
        process = self.script(RECORD_AND_WAIT.format(count=7, more=""))
        self.assertEqual(self.end(process, signal.SIGTERM), -signal.SIGTERM)
        self.assertEqual(len(self.ingest.performance()), 7)
        self.assertNotIn("dropped", self.next_start())

    def test_sigterm_ends_the_process_though_ingest_hangs_and_the_next_reports_the_loss(self) -> None:
        hold = threading.Event()
        self.addCleanup(hold.set)
        self.ingest.answer = lambda call: Answer() if hold.wait(WAIT) else Answer()
        process = self.script(RECORD_AND_WAIT.format(count=7, more=""))
        self.assertEqual(self.end(process, signal.SIGTERM), -signal.SIGTERM)
        hold.set()
        self.ingest.wait_until(lambda: len(self.ingest.calls) == 1)
        self.assertEqual(self.next_start()["dropped"], 7)

    def test_a_second_sigterm_ends_the_process_at_once(self) -> None:
        hold, asked = threading.Event(), threading.Event()
        self.addCleanup(hold.set)

        def hang(call: object) -> Answer:
            asked.set()
            hold.wait(WAIT)
            return Answer()

        self.ingest.answer = hang
        code = RECORD_AND_WAIT.format(count=1, more="").replace("exit_timeout=0.5", "exit_timeout=600, request_timeout=600")
        process = self.script(code)
        process.send_signal(signal.SIGTERM)
        self.assertTrue(asked.wait(WAIT))
        self.assertEqual(self.end(process, signal.SIGTERM), -signal.SIGTERM)

    def test_sigterm_finds_no_lock_that_the_interrupted_code_holds(self) -> None:
        busy = "print('up', flush=True)\nwhile True: client.record(endpoint='/x', method='GET', status_code=200, response_time_ms=1)"
        for _ in range(5):
            process = self.script(RECORD_AND_WAIT.format(count=0, more=busy))
            self.assertEqual(self.end(process, signal.SIGTERM), -signal.SIGTERM)

    def test_a_handler_of_the_apps_own_is_left_alone(self) -> None:
        own = "import signal\nsignal.signal(signal.SIGTERM, lambda *a: sys.exit(3))\n"
        for code in (own + RECORD_AND_WAIT.format(count=2, more=""), RECORD_AND_WAIT.format(count=2, more=own)):
            code = "import sys\n" + code
            self.assertEqual(self.end(self.script(code), signal.SIGTERM), 3)
        self.assertEqual(len(self.ingest.performance()), 4)

    def test_it_can_be_told_to_leave_sigterm_alone(self) -> None:
        code = RECORD_AND_WAIT.format(count=2, more="").replace("Client(", "Client(handle_sigterm=False, ")
        self.assertEqual(self.end(self.script(code), signal.SIGTERM), -signal.SIGTERM)
        self.assertEqual(self.ingest.calls, [])
        self.assertEqual(self.next_start()["dropped"], 2)


class Children(ProcessCase):
    def test_a_child_of_multiprocessing_sends_what_waits(self) -> None:
        for method in ("fork", "spawn", "forkserver"):
            with self.subTest(method):
                before = len(self.ingest.performance())
                child = self.folder / "child.py"
                child.write_text(
                    "import lakepulse, multiprocessing\n"
                    "client = lakepulse.Client(flush_interval=60)\n"
                    "def work():\n"
                    "    client.record(endpoint='/child', method='GET', status_code=200, response_time_ms=1)\n"
                    "if __name__ == '__main__':\n"
                    f"    multiprocessing.set_start_method('{method}')\n"
                    "    process = multiprocessing.Process(target=work)\n"
                    "    process.start(); process.join(); print('up')\n"
                )
                process = self.start([sys.executable, str(child)])
                self.assertEqual(process.wait(WAIT), 0)
                self.assertEqual([e["endpoint"] for e in self.ingest.performance()[before:]], ["/child"])

    def test_what_a_child_loses_is_counted_apart_from_its_parent(self) -> None:
        code = (
            "import os, time, lakepulse\n"
            "client = lakepulse.Client(flush_interval=60)\n"
            "def make(n):\n"
            "    for _ in range(n): client.record(endpoint='/x', method='GET', status_code=200, response_time_ms=1)\n"
            "    client._sender.started.wait(20)\n"
            "make(5)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    make(3); os._exit(0)\n"
            "os.waitpid(child, 0)\n"
            "print('up')\n"
        )
        self.assertEqual(self.script(code).wait(WAIT), 0)
        self.assertEqual((len(self.ingest.performance()), self.reported()), (5, 0))
        self.assertEqual(self.next_start()["dropped"], 3)


class Killed(ProcessCase):
    def kill_one(self, count: int, **more: str) -> None:
        self.assertEqual(self.end(self.script(RECORD_AND_WAIT.format(count=count, more=""), **more), signal.SIGKILL), -9)

    def test_what_killed_processes_lost_is_reported_once(self) -> None:
        self.kill_one(7)
        self.kill_one(4)
        # The second took over the first one's count, and lost it with its own.
        self.assertEqual(self.next_start()["dropped"], 11)
        self.assertNotIn("dropped", self.next_start())
        self.assertEqual(os.listdir(self.journal), [])

    def test_a_process_that_is_killed_while_it_takes_over_loses_no_count(self) -> None:
        self.kill_one(7)
        more = (
            "import os, signal\n"
            "from lakepulse import _journal\n"
            "_journal.Path.unlink = lambda path: os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        code = more + RECORD_AND_WAIT.format(count=4, more="")
        self.assertEqual(self.end(self.script(code), None), -9)
        # Both files are there: at the worst the first count is added twice.
        self.assertGreaterEqual(self.next_start()["dropped"], 11)

    def test_what_was_delivered_is_no_loss(self) -> None:
        more = "client.flush(20)\nclient.record(endpoint='/y', method='GET', status_code=200, response_time_ms=1)"
        process = self.script(RECORD_AND_WAIT.format(count=7, more=more))
        self.assertEqual(self.end(process, signal.SIGKILL), -9)
        self.assertEqual(self.next_start()["dropped"], 1)

    def test_usage_events_are_counted_with_usage_events(self) -> None:
        more = "client.track(event_type='query_executed', user_id='jo')"
        self.assertEqual(self.end(self.script(RECORD_AND_WAIT.format(count=2, more=more)), signal.SIGKILL), -9)
        self.assertEqual(self.next_start()["dropped"], 2)  # the usage queue had nothing to send its report with
        code = RECORD_ONE.replace("client.record(", "client.track(event_type='a', user_id='jo') or client.record(")
        self.kill_one(0)
        self.assertEqual(self.script(code).wait(WAIT), 0)

    def test_a_process_that_lives_is_not_counted(self) -> None:
        living = self.script(RECORD_AND_WAIT.format(count=7, more=""))
        self.assertNotIn("dropped", self.next_start())
        self.assertEqual(self.end(living, signal.SIGKILL), -9)
        self.assertEqual(self.next_start()["dropped"], 7)

    def test_another_apps_loss_is_not_reported(self) -> None:
        self.kill_one(7)
        self.assertNotIn("dropped", self.next_start(LAKEPULSE_APP="other"))
        self.assertEqual(self.next_start()["dropped"], 7)

    def test_processes_that_start_together_report_it_once(self) -> None:
        self.kill_one(7)
        starts = [threading.Thread(target=lambda: self.script(RECORD_ONE).wait(WAIT)) for _ in range(4)]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        self.assertEqual(self.reported(), 7)

    def test_drops_that_were_never_reported_are_not_forgotten(self) -> None:
        more = "client.close(0)"
        self.ingest.answer = lambda call: Answer(503, {})
        process = self.script(RECORD_AND_WAIT.format(count=7, more=more))
        self.assertEqual(self.end(process, signal.SIGKILL), -9)
        self.ingest.answer = lambda call: Answer()
        self.assertEqual(self.next_start()["dropped"], 7)


class Journals(ProcessCase):
    def started(self, **options: object) -> Client:
        client = self.client(journal=str(self.journal), **options)
        record(client)
        self.assertTrue(client.flush(WAIT))
        return client

    def test_a_damaged_file_counts_nothing_and_is_removed(self) -> None:
        self.started()
        (path,) = self.journal.iterdir()
        for content in (b"", b"x" * 24, struct.pack("<4sI2Q", b"LPJ1", 1, 1 << 60, 0), struct.pack("<4sI2Q", b"LPJ1", 9, 5, 0)):
            with self.subTest(content):
                (self.journal / (path.name[:16] + "-1-x.journal")).write_bytes(content)
                self.ingest.calls.clear()
                self.started()
                self.assertEqual(self.reported(), 0)
                self.assertFalse((self.journal / (path.name[:16] + "-1-x.journal")).exists())

    def test_a_directory_that_others_can_write_to_is_not_used(self) -> None:
        self.journal.mkdir()
        self.journal.chmod(0o777)
        self.started()
        self.assertEqual(list(self.journal.iterdir()), [])

    def test_a_directory_that_cannot_be_made_costs_only_the_count(self) -> None:
        (self.folder / "file").write_text("")
        self.journal = self.folder / "file" / "journal"
        self.started()
        self.assertEqual(len(self.ingest.performance()), 1)

    def test_a_process_that_made_no_event_leaves_no_file(self) -> None:
        self.client(journal=str(self.journal))
        self.assertFalse(self.journal.exists())

    def test_a_client_that_is_closed_leaves_no_file(self) -> None:
        self.assertTrue(self.started().close(WAIT))
        self.assertEqual(list(self.journal.iterdir()), [])

    def test_the_key_cannot_be_read_from_the_files_name(self) -> None:
        self.started(api_key="lp_secret")
        self.assertNotIn("secret", "".join(path.name for path in Path(self.journal).iterdir()))
