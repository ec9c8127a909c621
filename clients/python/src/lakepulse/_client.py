"""The client: collects records and usage events, and tells the app what became of them."""

from __future__ import annotations

import functools
import itertools
import json
import math
import time
import weakref
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ._callbacks import callback_name
from ._current import CURRENT
from ._ending import close_at_exit
from ._endpoints import MAX_ENDPOINT, USAGE_EVENTS_PATH, Exclusions, PathNames, clean_template
from ._ids import instance_name
from ._journal import Journal
from ._queue import Event, EventQueue
from ._options import Options, options_from
from ._record import (
    Identity,
    Record,
    Sender as Origin,
    UsageRecord,
    identifier,
    method_name,
    performance_event,
    text,
    usage_event,
)
from ._sender import Sender
from ._throttle import Throttle
from ._transport import Transport
from ._usage import usage_problem

PERFORMANCE_EVENTS_PATH = "/api/v1/metrics/performance-events"
TIMEOUT = "Timeout"
CLIENT_DISCONNECTED = "ClientDisconnected"

_UNMATCHED_NAMES = 50
_LAST_MOMENT = 1 << 33  # Unix seconds; datetime has a limit too


@dataclass(frozen=True)
class Stats:
    """The counts of this process's events. recorded = accepted + rejected + dropped + waiting."""

    recorded: int
    waiting: int
    accepted: int
    rejected: int
    dropped: int
    retries: int
    refusals: int
    in_flight: int
    clock_offset: float
    last_error: Optional[str]


class Exchange:
    """A request under way. Subclasses know the framework's side of it."""

    __slots__ = ("client", "started_at", "started", "status", "error_type", "route", "_user", "__weakref__")

    def __init__(self, client: "Client") -> None:
        self.client = client
        self.started_at = client.options.clock()
        self.started = time.perf_counter()
        self.status = 0
        self.error_type: Optional[str] = None
        self.route: Optional[str] = None
        """The endpoint's name, where the app has given one."""
        self._user: Tuple[Optional[str], ...] = ()

    def method(self) -> str:
        """Return the request's method."""
        raise NotImplementedError

    def endpoint(self) -> str:
        """Return the name the request is stored under."""
        raise NotImplementedError

    def identity(self) -> Identity:
        """Return whom and what the request belongs to."""
        raise NotImplementedError

    def set_user(self, user_id: Optional[str]) -> None:
        """Name the user; None means that nobody is signed in."""
        self._user = (user_id,)

    def named_identity(self) -> Identity:
        """Return the identity with the user that the app has named, if it has."""
        identity = self.identity()
        return identity._replace(user_id=self._user[0]) if self._user else identity


class Client:
    """Collects records and usage events and sends them in the background.

    One per process is enough; it is safe for use by threads and after ``fork``. Making one raises ``ValueError`` or
    ``TypeError`` for options that cannot work; after that nothing it does raises into the app, slows it or grows
    without bound. See :class:`Options` for what can be given.
    """

    def __init__(self, **options: Any) -> None:
        self.options: Options = options_from(options)
        self.enabled = self.options.enabled and self.options.url is not None
        self.exclusions = Exclusions(self.options.exclude)
        self.path_names = PathNames(self.options.max_endpoints)
        # What no route matched is mostly scanners: their guesses must not use up the names of real paths.
        self.unmatched_names = PathNames(_UNMATCHED_NAMES)
        self.throttle = Throttle(self.options.logger)
        self.transport = Transport(self.options)
        self._set_up_process()
        size, batch = self.options.buffer_size, self.options.batch_size
        self._performance = EventQueue(PERFORMANCE_EVENTS_PATH, size, batch, self._performance_event)
        self._usage = EventQueue(USAGE_EVENTS_PATH, size, batch, self._usage_event)
        queues = (self._performance, self._usage)
        self._queues = queues
        self._journal = Journal(self.options)
        self._sender = Sender(self.options, queues, self.transport, self.throttle, self._open_journal, self._expire)
        self._forked_hooks: "weakref.WeakSet[Any]" = weakref.WeakSet()
        if self.enabled:
            close_at_exit(self)
        elif self.options.enabled:
            self.options.logger.info("lakepulse: no url (or LAKEPULSE_URL) is set, so nothing is collected")

    def name_path(self, path: str, status: int, routed: bool) -> str:
        """Name a request by its path, where no route gives a template.

        Scanners make paths up. Where the framework has routes (``routed``) a path without one is made up; elsewhere a
        path may be where the app did not answer it with success. Such paths share few names of their own, so that
        they never use up those of the app's real paths.
        """
        if not routed and (200 <= status <= 299 or self.path_names.knows(path)):
            return self.path_names.name(path)
        return self.unmatched_names.name(path)

    def name_callback(self, endpoint: str, output: str, status: int) -> str:
        """Name a Dash callback by its endpoint and output; by the endpoint alone once there are too many."""
        name = f"{endpoint}/{callback_name(output)}"[:MAX_ENDPOINT]
        real = 200 <= status <= 299 or self.path_names.has(name)
        return (self.path_names if real else self.unmatched_names).bounded(name, endpoint)

    def _set_up_process(self) -> None:
        self._origin = Origin(self.options.app_name, self.options.app_version, instance_name(self.options.instance))
        self._seq = itertools.count(1)
        self._in_flight: Dict[Exchange, None] = {}
        self.closed = False

    @property
    def instance(self) -> str:
        """The name of this process in its records."""
        return self._origin.instance

    # ---- recording ---------------------------------------------------------------------------------------------

    def begin(self, exchange: Exchange) -> None:
        """Note that a request is under way, so that one that never ends is recorded all the same."""
        self._in_flight[exchange] = None
        self._sender.ensure_running()

    def finish(self, exchange: Exchange) -> None:
        """Record a request that has ended. The second call for one request does nothing."""
        elapsed = time.perf_counter() - exchange.started
        if self._claim(exchange):
            self._record(exchange, elapsed)

    def record(
        self,
        *,
        endpoint: str,
        method: str,
        status_code: int,
        response_time_ms: float,
        error_type: Optional[str] = None,
        user_id: Optional[str] = None,
        session_id: Optional[str] = None,
        interaction_id: Optional[str] = None,
        trace_id: Optional[str] = None,
        correlation_id: Optional[str] = None,
        started_at: Optional[float] = None,
    ) -> None:
        """Record a request that no middleware sees (Tornado, gRPC, a queue's consumer).

        ``endpoint`` is a template, ``response_time_ms`` milliseconds, ``started_at`` Unix seconds (default: now less
        the response time).
        """
        if not self.enabled:
            return
        if started_at is None:
            started_at = self.options.clock() - response_time_ms / 1000
        if not (math.isfinite(response_time_ms) and 0 <= started_at < _LAST_MOMENT):
            self.throttle.warn("record", "a record was left out: %r ms at %r", response_time_ms, started_at)
            return
        identity = Identity(*map(identifier, (user_id, session_id, interaction_id, trace_id, correlation_id)))
        self._put(started_at, clean_template(endpoint), method, status_code, response_time_ms, error_type, identity)

    def _claim(self, exchange: Exchange) -> bool:
        # One atomic step decides who records: the request's own end or the watch for those that ran too long.
        try:
            del self._in_flight[exchange]
        except KeyError:
            return False
        return True

    def _expire(self) -> None:
        """Record requests that run past the threshold now: a hung one would otherwise never be seen."""
        now = time.perf_counter()
        for exchange in self._in_flight.copy():
            elapsed = now - exchange.started
            if elapsed > self.options.timeout_threshold and self._claim(exchange):
                self._record(exchange, elapsed)

    def _record(self, exchange: Exchange, elapsed: float) -> None:
        try:
            status, error_type = exchange.status, exchange.error_type
            if elapsed > self.options.timeout_threshold:
                status, error_type = 504, TIMEOUT
            self._put(
                exchange.started_at,
                exchange.endpoint(),
                exchange.method(),
                status,
                elapsed * 1000,
                error_type,
                exchange.named_identity(),
            )
        except Exception as error:  # a fault of ours is not the app's
            self.throttle.warn("record", "a request could not be recorded: %r", error)

    def _put(
        self,
        started_at: float,
        endpoint: str,
        method: str,
        status: int,
        response_time_ms: float,
        error_type: Optional[str],
        identity: Identity,
    ) -> None:
        if not 100 <= status <= 599:
            status, error_type = 500, error_type or "NoResponse"
        if status >= 400:
            error_type = text(error_type) or str(status)
        else:
            error_type = None
        record = Record(
            started_at, endpoint, method_name(method), status, response_time_ms, error_type, identity, next(self._seq)
        )
        self._enqueue(self._performance, record)

    def _enqueue(self, queue: EventQueue, record: Any) -> None:
        self._sender.ensure_running()
        if queue.put(record):
            self._sender.wake()

    # ---- usage events ------------------------------------------------------------------------------------------

    def track(
        self,
        *,
        event_type: str,
        user_id: Optional[str] = None,
        page_name: Optional[str] = None,
        element_id: Optional[str] = None,
        success: Optional[bool] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        session_id: Optional[str] = None,
        interaction_id: Optional[str] = None,
    ) -> bool:
        """Send a usage event from the server, for example ``query_executed``.

        ``user_id``, ``session_id`` and ``interaction_id`` are those of the request under way unless given.
        Report whether it was queued: an event that ingest would refuse (an ``event_type`` not matching
        ``^[a-z][a-z0-9_.]{0,99}$``, no ``user_id``, ``metadata`` over 8 KiB of JSON) is logged and not queued, for a
        slip in a measurement must not become an error of the app.
        """
        if not self.enabled:
            return False
        identity = self._current_identity()
        fields = {
            "event_type": event_type,
            "user_id": user_id or identity.user_id,
            "page_name": page_name,
            "element_id": element_id,
            "success": None if success is None else bool(success),
            "metadata": metadata,
            "session_id": session_id or identity.session_id,
            "interaction_id": interaction_id or identity.interaction_id,
        }
        problem = usage_problem(fields)
        if problem:
            self.throttle.warn("track", "event not sent: %s", problem)
            return False
        for name in ("user_id", "page_name", "element_id", "session_id", "interaction_id"):
            fields[name] = text(fields[name])
        # A copy: the app may go on changing its own.
        fields["metadata"] = None if metadata is None else json.loads(json.dumps(dict(metadata)))
        self._enqueue(self._usage, UsageRecord(self.options.clock(), fields))
        return True

    def _current_identity(self) -> Identity:
        exchange = CURRENT.get()
        if exchange is None or exchange.client is not self:
            return Identity()
        try:
            return exchange.named_identity()
        except Exception as error:  # a fault of ours is not the app's
            self.throttle.warn("track", "the request under way does not tell its user: %r", error)
            return Identity()

    # ---- life --------------------------------------------------------------------------------------------------

    def stats(self) -> Stats:
        """Return what became of this process's events so far."""
        queues = self._queues
        return Stats(
            recorded=sum(queue.recorded for queue in queues),
            waiting=sum(queue.waiting() for queue in queues),
            accepted=sum(queue.accepted for queue in queues),
            rejected=sum(queue.rejected for queue in queues),
            dropped=sum(queue.dropped for queue in queues),
            retries=sum(queue.retries for queue in queues),
            refusals=self._sender.refusals,
            in_flight=len(self._in_flight),
            clock_offset=self._sender.clock_offset,
            last_error=self._sender.last_error,
        )

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what waits now. Report whether ingest has answered for all of it within ``timeout`` seconds."""
        return not self.enabled or self.closed or self._sender.flush(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Flush and stop. What cannot be sent within ``timeout`` seconds is dropped, counted and logged.

        Report whether nothing was lost. Later records are dropped and counted. A second call does nothing. What is
        lost here is reported as dropped by the next process of the app.
        """
        if not self.enabled or self.closed:
            return True
        delivered = self.stop_sending(timeout)
        self._journal.close(sum(queue.undelivered() for queue in self._queues))
        return delivered

    def stop_sending(self, timeout: float) -> bool:
        """Close, but leave the journal: the process is about to be ended and may still make events."""
        self.closed = True
        if any(queue.waiting() for queue in self._queues):
            self._sender.flush(timeout)
        self._sender.stop()
        lost = sum(queue.close() for queue in self._queues)
        if lost:
            self.options.logger.warning("lakepulse: %d events dropped at close", lost)
        return lost == 0

    def _open_journal(self) -> None:
        """Called once by the sender's thread: what processes before this one lost goes with the next batches."""
        if not self._journal.open():
            return
        for number, queue in enumerate(self._queues):
            queue.keep_count(functools.partial(self._journal.write, number))
        lost = self._journal.take_over(self._add_lost)
        if lost:
            self.options.logger.warning(
                "lakepulse: earlier processes of this app ended with %d events undelivered; they are reported as dropped",
                lost,
            )

    def _add_lost(self, lost: List[int]) -> None:
        for queue, events in zip(self._queues, lost):
            queue.add_lost(events)

    def on_fork(self, hook: Any) -> None:
        """Call ``hook.after_fork()`` in children of this process, for as long as hook lives."""
        self._forked_hooks.add(hook)

    def after_fork(self) -> None:
        """Make the copy in a forked child a client of its own.

        What the parent has buffered is the parent's to send; its thread does not exist here, and its locks may be
        held for ever.
        """
        self._set_up_process()
        self._journal.after_fork()
        self._performance.clear()
        self._usage.clear()
        self._sender.clear()
        self.throttle.after_fork()
        self.path_names.after_fork()
        self.unmatched_names.after_fork()
        for hook in tuple(self._forked_hooks):
            hook.after_fork()

    def _performance_event(self, record: Record, clock_offset: float) -> Event:
        return performance_event(record, self._origin, clock_offset)

    def _usage_event(self, record: UsageRecord, clock_offset: float) -> Event:
        return usage_event(record, self._origin, clock_offset)
