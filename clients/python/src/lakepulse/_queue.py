"""A bounded queue between the app's threads and one of ingest's paths.

States of an event: waiting (no id yet) -> in a batch (id and timestamp fixed) -> accepted | rejected | dropped.
``put`` is called by any thread; everything else only by the sender's.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, Optional

from ._backoff import pause

Event = Dict[str, Any]

_AT_ONE_GO = 16
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def share_interpreter(items: Iterable[Any]) -> Iterator[Any]:
    """Yield items, and let the app's threads run every few of them.

    A thread that computes keeps the interpreter for 5 ms when another wants it: a request that comes in while a batch
    is made would wait that long.
    """
    for n, item in enumerate(items, 1):
        yield item
        if n % _AT_ONE_GO == 0:
            time.sleep(0)


@dataclass
class Batch:
    """Events with their ids, sent as they are until ingest has answered."""

    events: List[Event]
    clock_offset: float
    dropped: int = 0
    """Drops this batch reports: all that no accepted batch has reported yet."""
    refusals: int = 0
    restamped: bool = False

    def body(self) -> bytes:
        """Return the request body."""
        events = ",".join(_ENCODER.encode(event) for event in share_interpreter(self.events))
        dropped = f',"dropped":{self.dropped}' if self.dropped else ""
        return f'{{"events":[{events}]{dropped}}}'.encode("ascii")

    def halves(self) -> "List[Batch]":
        """Split the batch."""
        middle = len(self.events) // 2
        parts = self.events[:middle], self.events[middle:]
        return [Batch(events, self.clock_offset, 0, self.refusals, self.restamped) for events in parts]


class EventQueue:
    """Bounded queue, the batches under way, and the numbers of both."""

    def __init__(self, path: str, capacity: int, batch_size: int, encode: Callable[[Any, float], Event]) -> None:
        self.path = path
        self._capacity = capacity
        self._batch_size = batch_size
        self._encode = encode
        self.clear()

    def clear(self) -> None:
        """Start empty, with a new lock: after a fork another thread may have held the old one."""
        self._note: Optional[Callable[[int], None]] = None
        self._lock = threading.Lock()
        self._records: Deque[Any] = deque()
        self._batches: Deque[Batch] = deque()
        self._being_made = 0
        self._unreported = 0
        self._failures = 0
        self._closed = False
        self.retry_at = 0.0
        self.recorded = 0
        self.accepted = 0
        self.rejected = 0
        self.dropped = 0
        self.retries = 0

    def keep_count(self, note: Callable[[int], None]) -> None:
        """Tell ``note`` at every change how many events are undelivered or lost without a report."""
        with self._lock:
            self._note = note
            self._changed()

    def add_lost(self, events: int) -> None:
        """Have the next batch report events as dropped that another process lost."""
        with self._lock:
            self._unreported += events
            self._changed()

    def undelivered(self) -> int:
        """Return how many events wait, or are lost and not reported yet."""
        with self._lock:
            return self._waiting() + self._unreported

    def _changed(self) -> None:
        if self._note is not None:
            self._note(self._waiting() + self._unreported)

    def put(self, record: Any) -> bool:
        """Queue a record, or drop and count it when the queue is full. Report whether a batch has become full."""
        with self._lock:
            self.recorded += 1
            if self._closed or len(self._records) >= self._capacity:
                self.dropped += 1
                self._unreported += 1
                self._changed()
                return False
            self._records.append(record)
            self._changed()
            return len(self._records) == self._batch_size

    def waiting(self) -> int:
        """Return how many events ingest has not answered for."""
        with self._lock:
            return self._waiting()

    def _waiting(self) -> int:
        waiting = len(self._records) + self._being_made
        for batch in self._batches:  # one or two; asked for every event, so without a generator
            waiting += len(batch.events)
        return waiting

    def has_batch(self) -> bool:
        """Report whether a batch waits for another try."""
        return bool(self._batches)

    def next_batch(self, clock_offset: float) -> Optional[Batch]:
        """Return the batch to send: the one already tried first, so that order and ids stay."""
        with self._lock:
            if self._batches:
                self._batches[0].dropped = self._unreported
                return self._batches[0]
            taken = [self._records.popleft() for _ in range(min(self._batch_size, len(self._records)))]
            self._being_made = len(taken)
            dropped = self._unreported
        if not taken:
            return None
        events: List[Event] = []
        try:
            for record in share_interpreter(taken):
                events.append(self._encode(record, clock_offset))
        finally:
            batch = Batch(events, clock_offset, dropped)
            with self._lock:
                self._being_made = 0
                if not self._closed:  # else close() has counted these events as dropped
                    # A record that could not be encoded is lost with those behind it: a fault of ours.
                    self.dropped += len(taken) - len(events)
                    self._unreported += len(taken) - len(events)
                    self._batches.append(batch)
        return batch if self._batches else None

    def accept(self, rejected: int) -> None:
        """The first batch is stored, but for the rejected events."""
        with self._lock:
            batch = self._take_first()
            kept = max(0, len(batch.events) - rejected)
            self.accepted += kept
            self.rejected += len(batch.events) - kept
            self._unreported -= batch.dropped
            self._changed()
        self._failures = 0

    def reject(self) -> None:
        """Ingest took nothing of the first batch, for reasons of the events' own."""
        with self._lock:
            batch = self._take_first()
            self.rejected += len(batch.events)
            self._changed()
        self._failures = 0

    def split(self) -> None:
        """The first batch is too large: two halves take its place."""
        with self._lock:
            for half in reversed(self._take_first().halves()):
                if half.events:
                    self._batches.appendleft(half)

    def give_up(self) -> int:
        """Drop the first batch and return how many events that cost."""
        with self._lock:
            lost = len(self._take_first().events)
            self.dropped += lost
            self._unreported += lost
            self._changed()
        return lost

    def send_again(self, batch: Batch) -> None:
        """Queue a corrected batch before everything else."""
        with self._lock:
            if not self._closed:  # else close() has counted these events as dropped
                self._batches.appendleft(batch)

    def put_off(self, now: float, retry_after: Optional[float]) -> None:
        """Try again after a pause; ``now`` is the monotonic clock."""
        self.retries += 1
        self._failures += 1
        self.retry_at = now + pause(self._failures, retry_after)

    def close(self) -> int:
        """Take nothing more, drop what is left and return how many events that cost."""
        with self._lock:
            self._closed = True
            lost = self._waiting()
            self._records.clear()
            self._batches.clear()
            self.dropped += lost
            self._unreported += lost
            self._changed()
        return lost

    def _take_first(self) -> Batch:
        # close() may have emptied the queue while its batch was on the way.
        return self._batches.popleft() if self._batches else Batch([], 0.0)
