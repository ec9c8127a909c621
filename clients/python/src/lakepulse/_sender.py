"""The sender: one daemon thread that carries the queues' events to ingest.

Invariants: the app's threads never wait for it (``flush`` and ``close`` excepted, which have a time limit); an event
that was sent once keeps its id and timestamp whatever happens; nothing it meets ends the thread.
"""

from __future__ import annotations

import threading
import time
from typing import Callable, List, Optional, Sequence

from ._answers import Kind, Verdict, judge
from ._queue import Batch, Event, EventQueue
from ._options import Options
from ._record import parse_rfc3339, rfc3339
from ._throttle import Throttle
from ._transport import Answer, Transport, Unreachable

_MAX_REFUSALS = 5
_CLOCKS_AGREE = 1.0  # seconds; below it network delay says more than the clocks
_START_AGAIN = 60.0


class Sender:
    """Sends the queues' events in the background."""

    def __init__(
        self,
        options: Options,
        queues: Sequence[EventQueue],
        transport: Transport,
        throttle: Throttle,
        on_start: Callable[[], None],
        on_tick: Callable[[], None],
    ) -> None:
        self._options = options
        self._queues = queues
        self._transport = transport
        self._throttle = throttle
        self._on_start = on_start
        self._on_tick = on_tick
        self.clear()

    def clear(self) -> None:
        """Forget the thread and its locks: a fork copies neither in a usable state."""
        self._start_lock = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._not_before = 0.0
        self.started = threading.Event()
        """Set once the journal is open and what earlier processes lost is taken over."""
        self._wake = threading.Event()
        self._answered = threading.Condition()
        self._flushes_asked = 0
        self._flushes_done = 0
        self._deadline = 0.0
        self._stopping = False
        self._last_tick = time.monotonic()
        self.clock_offset = 0.0
        self.refusals = 0
        self.last_error: Optional[str] = None

    def ensure_running(self) -> None:
        """Start the thread if there is none. Cheap when there is one."""
        if self._thread is not None or self._stopping or time.monotonic() < self._not_before:
            return
        with self._start_lock:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="lakepulse-sender", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is going down
                self._not_before = time.monotonic() + _START_AGAIN
                self._throttle.warn("thread", "the sender thread cannot start: %s", error)
                return
            self._thread = thread

    def wake(self) -> None:
        """Send now instead of at the next tick."""
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Send what is waiting, also while backing off. Report whether nothing was left within timeout seconds."""
        self.ensure_running()
        if self._thread is None:
            return self._empty()
        with self._answered:
            self._flushes_asked += 1
            mine = self._flushes_asked
            self._deadline = time.monotonic() + timeout
            self._wake.set()
            self._answered.wait_for(lambda: self._flushes_done >= mine, timeout)
        return self._empty()

    def stop(self) -> None:
        """Let the thread end after what it is doing. It is a daemon: nobody waits for it."""
        self._stopping = True
        self._wake.set()

    def _empty(self) -> bool:
        return not any(queue.waiting() for queue in self._queues)

    def _run(self) -> None:
        try:
            self._on_start()
        except Exception as error:  # a directory that cannot be used, or a fault of ours: sending goes on
            self._throttle.warn("journal", "events that a killed process loses will not be counted: %s", error)
        self.started.set()
        while not self._stopping:
            self._wake.wait(self._pause())
            self._wake.clear()
            with self._answered:
                asked = self._flushes_asked
                deadline = self._deadline if asked > self._flushes_done else None
            self._tick(deadline)
            with self._answered:
                self._flushes_done = asked
                self._answered.notify_all()

    def _pause(self) -> float:
        soonest = self._last_tick + self._options.flush_interval
        for queue in self._queues:
            if queue.has_batch():
                soonest = min(soonest, queue.retry_at)
        return max(0.0, soonest - time.monotonic())

    def _tick(self, deadline: Optional[float]) -> None:
        self._last_tick = time.monotonic()
        try:
            self._on_tick()
        except Exception as error:  # an app's callback, or a fault of ours: measuring goes on
            self._throttle.warn("tick", "requests under way could not be looked through: %r", error)
        for queue in self._queues:
            try:
                self._drain(queue, deadline)
            except Exception as error:  # a fault of ours: without this batch the next may pass
                lost = queue.give_up() if queue.has_batch() else 0
                self._throttle.warn("fault", "%d events dropped after an unexpected error: %r", lost, error)

    def _drain(self, queue: EventQueue, deadline: Optional[float]) -> None:
        """Send what waits now; what comes in meanwhile waits for the next tick, so that batches stay large."""
        if deadline is None and time.monotonic() < queue.retry_at:
            return
        left = queue.waiting()
        while left > 0 or (deadline is not None and queue.waiting()):
            timeout = self._options.request_timeout
            if deadline is not None:
                timeout = min(timeout, deadline - time.monotonic())
            batch = queue.next_batch(self.clock_offset)
            if batch is None or timeout <= 0:
                return
            left -= len(batch.events)
            if not self._send(queue, batch, timeout):
                return

    def _send(self, queue: EventQueue, batch: Batch, timeout: float) -> bool:
        """Send one batch; report whether the next may follow at once."""
        before = self._options.clock()
        try:
            answer = self._transport.post(queue.path, batch.body(), timeout)
        except Unreachable as error:
            self._trouble("unreachable", f"no answer ({error})")
            queue.put_off(time.monotonic(), None)
            return False
        self._correct_clock(answer, before)
        return self._settle(queue, batch, answer, judge(answer, len(batch.events), self._options.clock()))

    def _settle(self, queue: EventQueue, batch: Batch, answer: Answer, verdict: Verdict) -> bool:
        """Act on an answer; report whether the next batch may follow at once."""
        if verdict.kind is Kind.ACCEPTED:
            self._accepted(queue, batch, answer, verdict.rejected)
        elif verdict.kind is Kind.TOO_LARGE and len(batch.events) > 1:
            queue.split()
        elif verdict.kind in (Kind.TOO_LARGE, Kind.INVALID):
            self._invalid(queue, answer)
        elif verdict.kind is Kind.TEMPORARY:
            self._trouble("unavailable", f"status {answer.status}")
            queue.put_off(time.monotonic(), verdict.retry_after)
            return False
        else:
            self._denied(queue, batch, answer, verdict.retry_after)
            return False
        return True

    def _denied(self, queue: EventQueue, batch: Batch, answer: Answer, retry_after: Optional[float]) -> None:
        """An operator must act, so nothing is hurried or kept for long."""
        self.refusals += 1
        batch.refusals += 1
        self._trouble("refused", f"status {answer.status}: check url, api_key and token_provider")
        queue.put_off(time.monotonic(), retry_after)
        if batch.refusals >= _MAX_REFUSALS:
            lost = queue.give_up()
            self._throttle.warn("gave up", "%d events dropped: refused %d times", lost, _MAX_REFUSALS)

    def _invalid(self, queue: EventQueue, answer: Answer) -> None:
        lost = queue.give_up()
        said = str(answer.json().get("message", ""))
        self._throttle.warn("invalid", "%d events dropped: status %d: %.200s", lost, answer.status, said)

    def _accepted(self, queue: EventQueue, batch: Batch, answer: Answer, rejected: List[Event]) -> None:
        """Book a batch that ingest has judged: what it refused for its time goes once more with the right time."""
        self.last_error = None
        again = self._restamped(batch, rejected)
        count = len(rejected) - len(again)
        if again:
            # They stay under way: they leave this batch before it is booked.
            ids = {event["id"] for event in again}
            batch.events = [event for event in batch.events if event["id"] not in ids]
        if answer.status == 202:
            queue.accept(count)
        else:  # all were refused, and the report of drops with them
            queue.reject()
        if again:
            queue.send_again(Batch(again, self.clock_offset, restamped=True))
        if count:
            field, reason = str(rejected[0].get("field", "")), str(rejected[0].get("reason", ""))
            self._throttle.warn("rejected", "%d events rejected, the first for %s: %.200s", count, field, reason)

    def _restamped(self, batch: Batch, refused: List[Event]) -> List[Event]:
        shift = self.clock_offset - batch.clock_offset
        if batch.restamped or not shift:
            return []
        again = []
        for refusal in refused:
            index = refusal.get("index")
            if refusal.get("field") != "timestamp" or not isinstance(index, int) or not 0 <= index < len(batch.events):
                continue
            event = batch.events[index]
            moment = parse_rfc3339(event["timestamp"])
            if moment is not None:
                again.append({**event, "timestamp": rfc3339(moment + shift)})
        return again

    def _correct_clock(self, answer: Answer, before: float) -> None:
        if answer.status not in (202, 400):
            return
        server = parse_rfc3339(answer.json().get("server_time"))
        if server is None:
            return
        offset = server - (before + self._options.clock()) / 2
        self.clock_offset = offset if abs(offset) >= _CLOCKS_AGREE else 0.0

    def _trouble(self, kind: str, what: str) -> None:
        self.last_error = what
        self._throttle.warn(kind, "cannot deliver to %s: %s", self._options.url, what)
