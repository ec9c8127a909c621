"""FastAPI and Starlette under uvicorn."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List

from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lakepulse import LakepulseMiddleware

from ..fake_ingest import WAIT
from ..unit.ingest_case import IngestCase
from .serving import Site, Uvicorn

EVENTS = "/api/v1/metrics/usage-events"


class Case(IngestCase):
    def serve(self, app: Any, **config: Any) -> Site:
        site = Uvicorn(app, **config)
        self.addCleanup(site.close)
        return site

    def stored(self, count: int) -> List[Dict[str, Any]]:
        """Wait for count records, by id: a record is made after its response has left."""
        self.ingest.wait_until(lambda: len(self.ingest.performance()) >= count)
        return self.ingest.performance()


def fastapi_app() -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/orders")
    member = APIRouter()

    @member.get("/{id}")
    async def one(id: str) -> str:
        return id

    @router.get("/{order_id}")
    async def order(order_id: int) -> Dict[str, int]:
        return {"order": order_id}

    @router.get("/files/{rest:path}")
    def threaded(rest: str) -> str:
        return rest

    app.include_router(router)
    for prefix in ("/users", "/teams/{team}"):
        app.include_router(member, prefix=prefix)
    outer = APIRouter(prefix="/regions/{region}")
    outer.include_router(member, prefix="/members")
    app.include_router(outer, prefix="/v1")

    @app.get("/missing")
    async def missing() -> None:
        raise HTTPException(404)

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    @app.get("/later")
    async def later(tasks: BackgroundTasks) -> str:
        tasks.add_task(lambda: None)
        return "ok"

    sub = FastAPI()

    @sub.get("/items/{item_id}")
    async def item(item_id: str) -> str:
        return item_id

    app.mount("/shops/{shop}/v1", sub)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent))
    return app


class Templates(Case):
    def test_fastapi_requests_are_named_after_their_routes(self) -> None:
        app = fastapi_app()
        client = self.client(flush_interval=0.02)
        app.add_middleware(LakepulseMiddleware, client=client)
        site = self.serve(app)
        asked = {
            "/orders/7": ("/orders/{order_id}", 200, None),
            "/orders/x": ("/orders/{order_id}", 422, "422"),
            "/orders/files/a/b": ("/orders/files/{rest}", 200, None),
            "/users/7": ("/users/{id}", 200, None),
            "/teams/red/7": ("/teams/{team}/{id}", 200, None),
            "/v1/regions/eu/members/7": ("/v1/regions/{region}/members/{id}", 200, None),
            "/docs": ("/docs", 200, None),
            "/missing": ("/missing", 404, "404"),
            "/broken": ("/broken", 500, "ZeroDivisionError"),
            "/later": ("/later", 200, None),
            "/shops/a1/v1/items/9": ("/shops/{shop}/v1/items/{item_id}", 200, None),
            "/static/serving.py": ("/static/{path}", 200, None),
            "/nowhere/5": ("/nowhere/{id}", 404, "404"),
            "/shops/a1/v1/nowhere": ("/shops/a1/v1/nowhere", 404, "404"),
        }
        for n, (path, want) in enumerate(asked.items(), 1):
            with self.subTest(path):
                site.ask("GET", path)
                event = self.stored(n)[-1]
                self.assertEqual((event["endpoint"], event["status_code"], event.get("error_type")), want)
        site.ask("DELETE", "/orders/7")
        event = self.stored(len(asked) + 1)[-1]
        self.assertEqual((event["endpoint"], event["method"], event["status_code"]), ("/orders/{order_id}", "DELETE", 405))

    def test_the_root_path_is_no_part_of_the_name(self) -> None:
        for wrapped in (True, False):
            with self.subTest(wrapped=wrapped):
                app = FastAPI(root_path="/proxy")
                app.add_api_route("/items/{item_id}", lambda item_id: item_id)
                client = self.client(flush_interval=0.02)
                if wrapped:
                    measured: Any = LakepulseMiddleware(app, client)
                else:
                    app.add_middleware(LakepulseMiddleware, client=client)
                    measured = app
                before = len(self.ingest.performance())
                self.serve(measured).ask("GET", "/items/9")
                self.assertEqual(self.stored(before + 1)[-1]["endpoint"], "/items/{item_id}")

    def test_starlette_requests_are_named_after_their_routes(self) -> None:
        async def page(request: Any) -> PlainTextResponse:
            return PlainTextResponse("ok")

        inner = [Route("/{item_id:int}", page), Route("/{item_id:int}/edit", page, methods=["POST"])]
        app = Starlette(routes=[Route("/", page), Mount("/items", routes=inner)])
        app.add_middleware(LakepulseMiddleware, client=self.client(flush_interval=0.02))
        site = self.serve(app)
        asked = {"/": "/", "/items/3": "/items/{item_id}", "/items/3/edit": "/items/{item_id}/edit", "/no/3": "/no/{id}"}
        for n, (path, want) in enumerate(asked.items(), 1):
            with self.subTest(path):
                site.ask("GET", path)
                self.assertEqual(self.stored(n)[-1]["endpoint"], want)

    def test_it_works_inside_another_middleware(self) -> None:
        async def passes(request: Any, call_next: Any) -> Any:
            return await call_next(request)

        app = fastapi_app()
        app.add_middleware(LakepulseMiddleware, client=self.client(flush_interval=0.02))
        app.add_middleware(BaseHTTPMiddleware, dispatch=passes)
        self.serve(app).ask("GET", "/orders/7")
        self.assertEqual(self.stored(1)[0]["endpoint"], "/orders/{order_id}")


class Clients(Case):
    def test_a_client_that_leaves_is_told_apart(self) -> None:
        app = FastAPI()
        at_work, left = threading.Event(), threading.Event()

        @app.get("/slow")
        async def slow() -> str:
            at_work.set()
            await asyncio.get_running_loop().run_in_executor(None, left.wait, WAIT)
            return "too late"

        @app.get("/stream")
        async def stream() -> StreamingResponse:
            async def chunks() -> Any:
                at_work.set()
                while True:
                    yield b"x"
                    await asyncio.sleep(0)

            return StreamingResponse(chunks())

        app.add_middleware(LakepulseMiddleware, client=self.client(flush_interval=0.02))

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            # Tell the handler to go on once the server itself has noticed that the client has left.
            if scope["type"] == "http" and scope["path"] == "/slow":

                async def watch() -> None:
                    while not receive.__self__.disconnected:
                        await asyncio.sleep(0)
                    left.set()

                task = asyncio.ensure_future(watch())
                await app(scope, receive, send)
                await task
            else:
                await app(scope, receive, send)

        site = self.serve(watched)
        for n, path in enumerate(("/slow", "/stream"), 1):
            with self.subTest(path):
                at_work.clear()
                site.leave(path, at_work)
                event = self.stored(n)[-1]
                self.assertEqual((event["endpoint"], event["status_code"]), (path, 499))
                self.assertEqual(event["error_type"], "ClientDisconnected")

    def test_an_answer_that_was_sent_whole_is_none_that_was_broken_off(self) -> None:
        app = FastAPI()
        read = threading.Event()

        @app.get("/promised")
        async def promised() -> StreamingResponse:
            async def chunks() -> Any:
                yield b"whole"
                # The clean-up: it lasts until the client has its answer and has hung up.
                await asyncio.get_running_loop().run_in_executor(None, read.wait, WAIT)
                await asyncio.sleep(0.02)

            return StreamingResponse(chunks(), headers={"Content-Length": "5"})

        app.add_middleware(LakepulseMiddleware, client=self.client(flush_interval=0.02))
        site = self.serve(app)
        for n in range(1, 21):
            read.clear()
            self.assertEqual(site.ask("GET", "/promised").body, b"whole")
            read.set()
            event = self.stored(n)[-1]
            self.assertEqual((event["endpoint"], event["status_code"]), ("/promised", 200))

    def test_many_clients_at_once_lose_and_double_nothing(self) -> None:
        app = fastapi_app()
        client = self.client(flush_interval=0.05)
        app.add_middleware(LakepulseMiddleware, client=client)
        site = self.serve(app)
        threads = [
            threading.Thread(target=lambda: [site.ask("GET", f"/orders/{n}") for n in range(25)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        events = self.stored(200)
        self.assertEqual(len({event["id"] for event in events}), 200)
        self.assertEqual({event["endpoint"] for event in events}, {"/orders/{order_id}"})


class Relaying(Case):
    def test_a_pages_events_arrive_with_the_signed_in_user(self) -> None:
        app = fastapi_app()
        # As an app would: the options in add_middleware, no client made before.
        app.add_middleware(LakepulseMiddleware, url=self.ingest.url, app_name="orders", api_key="lp_test", trust_forwarded=True)
        site = self.serve(app)
        batch = json.dumps({"events": [{"event_type": "page_view", "user_id": "boss"}]}).encode()
        headers = {"X-Forwarded-Email": "jo@example.com", "Content-Type": "text/plain;charset=UTF-8"}
        self.assertEqual(site.ask("POST", EVENTS, batch, headers).status, 202)
        self.assertEqual(self.ingest.usage()[0]["user_id"], "jo@example.com")
        self.assertEqual(site.ask("GET", "/api/v1/metrics/usage/count?user_id=boss", headers=headers).status, 202)
        self.assertEqual(self.ingest.calls[-1].query, {"user_id": ["jo@example.com"]})
        self.assertEqual(site.ask("POST", EVENTS, batch).status, 401)


class Ending(Case):
    def test_a_server_that_is_told_to_stop_sends_the_rest(self) -> None:
        root = Path(__file__).resolve().parents[2]
        code = (
            "import uvicorn, fastapi, lakepulse\n"
            "app = fastapi.FastAPI(on_startup=[lambda: print('up', flush=True)])\n"
            "app.add_middleware(lakepulse.LakepulseMiddleware, app_version='1', flush_interval=60)\n"
            "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(8)\n"
            "print(s.getsockname()[1], flush=True)\n"
            "uvicorn.Server(uvicorn.Config(app, log_level='critical')).run(sockets=[s])\n"
        )
        env = {**os.environ, "PYTHONPATH": str(root / "src"), "LAKEPULSE_URL": self.ingest.url}
        with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            site = Site()
            site.port = int(server.stdout.readline())
            self.assertEqual(site.ask("GET", "/x").status, 404)
            server.send_signal(signal.SIGTERM)
            server.wait(WAIT)
        self.assertEqual([event["endpoint"] for event in self.ingest.performance()], ["/x"])
