"""Gradio. The double has what lakepulse.gradio uses of Gradio 6.25, which cannot be had where tests run.

That is: ``Blocks.launch`` with its ``app_kwargs``, ``Blocks.process_api``, and the queue's events and
``Queue.process_events``, which calls ``process_api`` once per step of a generator.
"""

from __future__ import annotations

import asyncio
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, Dict, List, Optional
from unittest import mock

import lakepulse.gradio
from lakepulse import LakepulseMiddleware, set_user, track

from ..fake_ingest import WAIT
from .ingest_case import IngestCase


class Event:
    def __init__(self, function: Any, headers: Dict[str, str], username: Optional[str] = None) -> None:
        self._id = f"event-{id(self)}"
        self.fn = function
        self.request = SimpleNamespace(headers=headers, username=username)
        self.alive = True
        self.enqueue_time = time.monotonic() - 2.5


class Queue:
    def __init__(self, demo: "Blocks") -> None:
        self._demo = demo
        self.event_analytics: Dict[str, Any] = {}

    async def process_events(self, events: List[Event], leaves_after: int = 100) -> None:
        event = events[0]
        while event.alive:
            leaves_after -= 1
            answer = await self._demo.process_api(
                block_fn=event.fn, inputs=[], request=event.request, event_id=event._id
            )
            if isinstance(answer, Exception) or not answer.get("is_generating") or not leaves_after:
                return


class Blocks:
    def __init__(self, *functions: Callable[[], Any]) -> None:
        self.fns = [SimpleNamespace(fn=f, api_name=f.__name__, _id=n) for n, f in enumerate(functions)]
        self.launched: Dict[str, Any] = {}
        self.queue()

    def queue(self) -> None:
        self._queue = Queue(self)

    def launch(self, **named: Any) -> str:
        self.launched = named
        return "launched"

    async def process_api(self, block_fn: Any, inputs: Any, **named: Any) -> Any:
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        return function.fn()


class GradioCase(IngestCase):
    def setUp(self) -> None:
        super().setUp()
        middleware = ModuleType("starlette.middleware")
        middleware.Middleware = lambda kind, **options: (kind, options)  # type: ignore[attr-defined]
        requests = ModuleType("starlette.requests")
        requests.Request = lambda scope: SimpleNamespace(headers=scope)  # type: ignore[attr-defined]
        modules = {"starlette": ModuleType("starlette"), "starlette.middleware": middleware, "starlette.requests": requests}
        patch = mock.patch.dict(sys.modules, modules)
        patch.start()
        self.addCleanup(patch.stop)
        self.measuring = self.client()

    def launched(self, *functions: Callable[[], Any], **options: Any) -> Blocks:
        demo = Blocks(*functions)
        lakepulse.gradio.measure(demo, self.measuring, **options)
        demo.queue()
        self.assertEqual(demo.launch(share=False), "launched")
        return demo

    def call(self, demo: Blocks, username: Optional[str] = None, leaves_after: int = 100, **headers: str) -> Event:
        event = Event(demo.fns[0], headers, username)
        asyncio.run(demo._queue.process_events([event], leaves_after=leaves_after))
        return event

    def records(self, kind: str = "run") -> List[Dict[str, Any]]:
        self.assertTrue(self.measuring.flush(WAIT))
        return [e for e in self.ingest.performance() if e["endpoint"].startswith(f"/gradio/{kind}/")]


def answer() -> Any:
    return {"data": ["x"]}


class Calls(GradioCase):
    def test_a_call_is_its_time_in_the_queue_and_in_the_function(self) -> None:
        self.call(self.launched(answer), **{"X-Forwarded-Email": "jo@example.com", "X-Lakepulse-Session-Id": "s"})
        (run,), (wait,) = self.records("run"), self.records("queue")
        want = {"method": "POST", "status_code": 200, "user_id": "jo@example.com", "session_id": "s"}
        for record, endpoint in ((run, "/gradio/run/answer"), (wait, "/gradio/queue/answer")):
            self.assertEqual({name: record[name] for name in want}, want)
            self.assertEqual(record["endpoint"], endpoint)
        self.assertGreaterEqual(wait["response_time_ms"], 2500)
        self.assertLess(run["response_time_ms"], 2500)

    def test_older_versions_tell_the_wait_otherwise(self) -> None:
        demo = self.launched(answer)
        event = Event(demo.fns[0], {})
        del event.enqueue_time
        asyncio.run(demo._queue.process_events([event]))
        self.assertEqual(self.records("queue"), [])
        demo._queue.event_analytics[event._id] = {"time": time.time() - 3}
        asyncio.run(demo._queue.process_events([event]))
        self.assertGreaterEqual(self.records("queue")[0]["response_time_ms"], 2900)

    def test_errors_have_the_exceptions_name(self) -> None:
        def raises() -> Any:
            raise KeyError("x")

        def returns() -> Any:
            return ValueError("raised later")

        for function, name in ((raises, "KeyError"), (returns, "ValueError")):
            try:
                self.call(self.launched(function))
            except KeyError:
                self.assertIs(function, raises)
            run = self.records()[-1]
            self.assertEqual((run["status_code"], run["error_type"]), (500, name))

    def test_all_steps_of_a_generator_are_one_run(self) -> None:
        steps = [{"is_generating": True}, {"is_generating": True}, {"is_generating": False}]
        self.call(self.launched(lambda: steps.pop(0)), **{"X-Forwarded-Email": "jo@example.com"})
        (run,) = self.records()
        self.assertEqual(run["status_code"], 200)
        self.assertEqual([e["event_type"] for e in self.ingest.usage()], ["model_invoked"])

    def test_a_generator_whose_caller_leaves_is_told_apart(self) -> None:
        self.call(self.launched(lambda: {"is_generating": True}), leaves_after=2)
        (run,) = self.records()
        self.assertEqual((run["status_code"], run["error_type"]), (499, "ClientDisconnected"))

    def test_a_call_that_is_cancelled_is_told_apart(self) -> None:
        def cancelled() -> Any:
            raise asyncio.CancelledError

        with self.assertRaises(asyncio.CancelledError):
            self.call(self.launched(cancelled))
        self.assertEqual(self.records()[0]["status_code"], 499)

    def test_a_run_is_a_usage_event_of_its_user(self) -> None:
        self.call(self.launched(answer), username="signed-in")
        self.call(self.launched(answer))
        self.records()
        (event,) = self.ingest.usage()
        want = {"event_type": "model_invoked", "user_id": "signed-in", "element_id": "answer", "success": True}
        self.assertEqual({name: event[name] for name in want}, want)

    def test_the_function_can_say_more(self) -> None:
        def say() -> Any:
            set_user("function@example.com")
            self.assertTrue(track("query_executed"))
            return {}

        self.call(self.launched(say))
        self.assertEqual(self.records()[0]["user_id"], "function@example.com")
        self.assertEqual({e["user_id"] for e in self.ingest.usage()}, {"function@example.com"})

    def test_a_call_past_the_queue_is_measured_too(self) -> None:
        demo = self.launched(answer)
        asyncio.run(demo.process_api(0, []))
        self.assertEqual([r["endpoint"] for r in self.records()], ["/gradio/run/answer"])


class Setting(GradioCase):
    def test_launch_brings_the_middleware_beside_the_apps_own(self) -> None:
        demo = Blocks(answer)
        lakepulse.gradio.measure(demo, self.measuring)
        demo.launch(app_kwargs={"docs_url": "/docs", "middleware": ["own"]})
        (kind, options), own = demo.launched["app_kwargs"]["middleware"]
        self.assertEqual((kind, options["client"], own), (LakepulseMiddleware, self.measuring, "own"))
        self.assertEqual(demo.launched["app_kwargs"]["docs_url"], "/docs")

    def test_the_callback_names_the_user_everywhere(self) -> None:
        demo = self.launched(answer, user_id=lambda request: request.headers["x-user"])
        self.call(demo, **{"x-user": "callback"})
        self.call(demo)
        self.assertEqual([r.get("user_id") for r in self.records()], ["callback", None])
        ((_, options),) = demo.launched["app_kwargs"]["middleware"]
        self.assertEqual(options["user_id"]({"x-user": "http"}), "http")

    def test_an_app_that_is_mounted_is_measured_without_launch(self) -> None:
        demo = Blocks(answer)
        lakepulse.gradio.measure(demo, self.measuring)
        self.call(demo)
        self.assertEqual((len(self.records("run")), len(self.records("queue"))), (1, 1))

    def test_without_a_url_the_app_is_left_alone(self) -> None:
        demo = Blocks(answer)
        before = demo.launch
        lakepulse.gradio.measure(demo, url="")
        self.assertEqual(demo.launch, before)

    def test_an_event_of_another_version_costs_nothing_but_the_measuring(self) -> None:
        demo = self.launched(answer)
        event = Event(demo.fns[0], {})
        event.request = SimpleNamespace(headers=7)
        asyncio.run(demo._queue.process_events([event]))
        self.assertEqual(self.records("run") + self.records("queue"), [])
