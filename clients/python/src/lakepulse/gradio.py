"""Gradio: one line before ``launch``, for requests, and for the time in the queue and in each function.

    import lakepulse.gradio
    lakepulse.gradio.measure(demo)
    demo.launch()

Records, all with method POST:

- ``/gradio/run/{api_name}``: the time of one call of a function, all steps of a generator together. Status 200; 500 with
  the exception's name; 499 when the caller left before the end.
- ``/gradio/queue/{api_name}``: how long the call waited for its turn.

Each finished run is a ``model_invoked`` event of its user, where there is one. The HTTP requests of the page are
recorded by the ASGI middleware, which also brings the relay. Written against Gradio 6.25 (``Blocks.launch``,
``Blocks.process_api``, ``Queue.process_events``).
"""

from __future__ import annotations

import importlib
import time
from typing import Any, Callable, Dict, Iterable, Mapping, Optional

from ._client import CLIENT_DISCONNECTED, Client, Exchange
from ._current import CURRENT
from ._record import IDENTITY_HEADERS, Identity, identifier, identity_from
from .asgi import LakepulseMiddleware

UserCallback = Callable[[Any], Optional[str]]

_MOST_RUNS = 10_000


def measure(
    demo: Any, client: Optional[Client] = None, *, user_id: Optional[UserCallback] = None, **options: Any
) -> Client:
    """Measure a ``Blocks``, ``Interface`` or ``ChatInterface``; return the client. Call it before ``launch``.

    ``options``: see :class:`lakepulse.Options`. ``user_id`` is called with the request (``headers``, ``username``) and
    returns the signed-in user or None; by default it is the user that the Databricks Apps proxy names, else the one
    who signed in with Gradio's own ``auth``.
    """
    if client is not None and options:
        raise TypeError("lakepulse: give either a client or its options")
    made = client or Client(**options)
    if made.enabled:
        _Measuring(made, user_id).follow(demo)
    return made


class _Run(Exchange):
    """One call of a function: the time in it, over all its steps."""

    __slots__ = ("name", "found", "in_function")

    def __init__(self, client: Client, name: str, found: Identity) -> None:
        super().__init__(client)
        self.name = name
        self.found = found
        self.in_function = 0.0

    def method(self) -> str:
        return "POST"

    def endpoint(self) -> str:
        return self.route or f"/gradio/run/{self.name}"

    def identity(self) -> Identity:
        return self.found

    def note_failure(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            self.status, self.error_type = 500, type(error).__name__
        else:  # cancelled: the caller has left
            self.status, self.error_type = 499, CLIENT_DISCONNECTED


class _Measuring:
    """Follows the calls of one Blocks."""

    def __init__(self, client: Client, user_id: Optional[UserCallback]) -> None:
        self._client = client
        self._user_id = user_id
        self._runs: Dict[str, _Run] = {}
        self._queue: Any = None

    def follow(self, demo: Any) -> None:
        """Put ourselves in front of the methods that launch the app and call its functions."""
        launch, process_api = demo.launch, demo.process_api

        def launch_measured(*arguments: Any, **named: Any) -> Any:
            named["app_kwargs"] = self._with_middleware(named.get("app_kwargs"))
            self._guarded(self._follow_queue, demo._queue)  # .queue() has made a new one since
            return launch(*arguments, **named)

        async def process_api_measured(block_fn: Any, *arguments: Any, **named: Any) -> Any:
            function = demo.fns[block_fn] if isinstance(block_fn, int) else block_fn
            run = self._begin_step(function, named)
            if run is None:
                return await process_api(block_fn, *arguments, **named)
            return await self._step(run, named.get("event_id"), process_api(block_fn, *arguments, **named))

        demo.launch, demo.process_api = launch_measured, process_api_measured
        self._guarded(self._follow_queue, demo._queue)  # for an app that is mounted instead of launched

    def _with_middleware(self, given: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
        """Return the arguments of the FastAPI app, with our middleware."""
        middleware: Any = importlib.import_module("starlette.middleware").Middleware
        ours = middleware(LakepulseMiddleware, client=self._client, user_id=self._user_of_scope())
        more = dict(given or {})
        more["middleware"] = [ours, *(more.get("middleware") or ())]
        return more

    def _user_of_scope(self) -> Optional[Callable[[Any], Optional[str]]]:
        if self._user_id is None:
            return None
        callback: UserCallback = self._user_id
        request: Any = importlib.import_module("starlette.requests").Request

        def of_scope(scope: Any) -> Optional[str]:
            return callback(request(scope))

        return of_scope

    def _follow_queue(self, queue: Any) -> None:
        if queue is self._queue:
            return
        self._queue = queue
        process_events = queue.process_events

        async def process_events_measured(events: Any, *arguments: Any, **named: Any) -> Any:
            self._guarded(self._note_waiting, queue, events)
            try:
                return await process_events(events, *arguments, **named)
            finally:
                self._guarded(self._end_unfinished, events)

        queue.process_events = process_events_measured

    def _guarded(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Run a part of the measuring: a fault of ours, or a version we do not know, is not the app's."""
        try:
            return act(*arguments)
        except Exception as error:
            self._client.throttle.warn("gradio", "a call cannot be measured: %r", error)
            return None

    def _note_waiting(self, queue: Any, events: Iterable[Any]) -> None:
        for event in events:
            waited = _waited(queue, event)
            if not event.alive or waited is None:
                continue
            self._client.record(
                endpoint=f"/gradio/queue/{_name(event.fn)}",
                method="POST",
                status_code=200,
                response_time_ms=max(0.0, waited) * 1000,
                **self._identity(event.request)._asdict(),
            )

    def _begin_step(self, function: Any, named: Mapping[str, Any]) -> Optional[_Run]:
        """Return the run that a call of ``process_api`` is a step of."""

        def begin() -> _Run:
            run = self._runs.pop(named.get("event_id") or "", None)
            if run is None:
                run = _Run(self._client, _name(function), self._identity(named.get("request")))
                self._client.begin(run)
            return run

        found: Optional[_Run] = self._guarded(begin)
        return found

    async def _step(self, run: _Run, event_id: Optional[str], call: Any) -> Any:
        started = time.perf_counter()
        current = CURRENT.set(run)
        answer: Any = None
        try:
            answer = await call
            run.status = 200
            if isinstance(answer, Exception):  # Gradio raises it later
                run.note_failure(answer)
            return answer
        except BaseException as error:
            run.note_failure(error)
            raise
        finally:
            CURRENT.reset(current)
            run.in_function += time.perf_counter() - started
            goes_on = run.status == 200 and isinstance(answer, dict) and bool(answer.get("is_generating"))
            if goes_on and event_id and len(self._runs) < _MOST_RUNS:
                self._runs[event_id] = run
            else:
                self._guarded(self._end, run)

    def _end(self, run: _Run) -> None:
        # The steps' time, without the pauses between them.
        run.started = time.perf_counter() - run.in_function
        self._client.finish(run)
        found = run.named_identity()
        user = found.user_id or self._client.options.dev_user
        if user:
            self._client.track(
                event_type="model_invoked",
                user_id=user,
                element_id=run.name,
                success=run.status < 400,
                session_id=found.session_id,
            )

    def _end_unfinished(self, events: Iterable[Any]) -> None:
        """End the generators whose callers left before the last step."""
        for event in events:
            run = self._runs.pop(event._id, None)
            if run is not None:
                run.status, run.error_type = 499, CLIENT_DISCONNECTED
                self._end(run)

    def _identity(self, request: Any) -> Identity:
        if isinstance(request, list):  # a batch: the first caller stands for all
            request = request[0] if request else None
        given = getattr(request, "headers", None) or {}
        headers = {str(name).lower(): str(value) for name, value in given.items()}
        headers = {name: value for name, value in headers.items() if name in IDENTITY_HEADERS}
        found = identity_from(headers, self._client.options.trust_forwarded is True)
        if self._user_id is None:
            return found if found.user_id else found._replace(user_id=identifier(getattr(request, "username", None)))
        try:
            return found._replace(user_id=identifier(self._user_id(request)))
        except Exception as error:  # the app's code must not break the app by way of ours
            self._client.throttle.warn("user_id", "the user_id callback raised %r", error)
            return found._replace(user_id=None)


def _waited(queue: Any, event: Any) -> Optional[float]:
    """Return the seconds that an event has waited in the queue, None where Gradio does not tell."""
    since = getattr(event, "enqueue_time", None)
    if since is not None:
        return time.monotonic() - float(since)
    noted = getattr(queue, "event_analytics", {}).get(event._id)  # older versions keep the wall clock
    return time.time() - float(noted["time"]) if noted else None


def _name(function: Any) -> str:
    """Return a function's API name, else its own, else its number."""
    named = getattr(function, "api_name", None) or getattr(getattr(function, "fn", None), "__name__", None)
    return str(named or f"fn_{getattr(function, '_id', 0)}").strip("/")[:200]
