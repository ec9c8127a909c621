"""Fifty requests of odd kinds: each is recorded once, with the method and the status that the client saw."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from lakepulse import LakepulseMiddleware

from ..fake_ingest import WAIT
from ..unit.ingest_case import IngestCase
from .serving import Uvicorn, flush


class Odd(NamedTuple):
    method: str
    path: str
    endpoint: str
    headers: str = ""
    body: str = ""


def denied() -> None:
    raise HTTPException(403)


def odd_app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(GZipMiddleware, minimum_size=10)

    async def parts(count: int) -> Any:
        for n in range(count):
            yield b"part"
            await asyncio.sleep(0)

    def broken_stream() -> Any:
        yield b"a"
        raise KeyError("x")

    async def not_modified(if_none_match: Optional[str] = Header(None)) -> Response:
        return Response(status_code=304 if if_none_match else 200, headers={"ETag": "x"})

    routes: Dict[str, Any] = {
        "/text": lambda: "x" * 100,
        "/empty": lambda: Response(status_code=204),
        "/reset": lambda: Response(status_code=205),
        "/teapot": lambda: Response(status_code=418),
        "/moved": lambda: RedirectResponse("/text", 301),
        "/strange": lambda: Response(status_code=599),
        "/legal": lambda: JSONResponse({"x": 1}, 451),
        "/stream/{count}": lambda count: StreamingResponse(parts(int(count))),
        "/promised": lambda: StreamingResponse(parts(3), headers={"Content-Length": "12"}),
        "/broken-stream": lambda: StreamingResponse(broken_stream()),
        "/file": lambda: FileResponse(__file__),
        "/gone-file": lambda: FileResponse("/nowhere/at/all"),
        "/zero": lambda: 1 / 0,
        "/items/{item_id}": not_modified,
        "/rest/{rest:path}": lambda rest: rest,
    }
    for path, endpoint in routes.items():
        app.add_api_route(path, endpoint, methods=["GET", "POST"], include_in_schema=False)
    app.add_api_route("/typed/{number}", lambda number: number, dependencies=[Depends(denied)])
    app.add_api_route("/number/{number}", _number)
    inner = APIRouter(prefix="/in/{a}")
    inner.add_api_route("/{b}", lambda a, b: a + b, methods=["PUT", "DELETE", "OPTIONS", "HEAD"], include_in_schema=False)
    app.include_router(inner, prefix="/out")
    app.mount("/static", StaticFiles(directory=Path(__file__).parent))
    return app


async def _number(number: int) -> int:
    return number


REQUESTS: List[Odd] = [
    Odd("GET", "/text", "/text"),
    Odd("GET", "/text", "/text", "Accept-Encoding: gzip\r\n"),
    Odd("GET", "/text?a=1&a=2&b=%00", "/text"),
    Odd("GET", "/text?", "/text"),
    Odd("GET", "/text/", "/text/"),
    Odd("GET", "//text", "//text"),
    Odd("GET", "/%74ext", "/text"),
    Odd("GET", "/TEXT", "/TEXT"),
    Odd("HEAD", "/text", "/text"),
    Odd("POST", "/text", "/text", "Content-Type: application/json\r\n", "{broken"),
    Odd("POST", "/text", "/text", "", "x" * 70_000),
    Odd("PATCH", "/text", "/text"),
    Odd("PROPFIND", "/text", "/text"),
    Odd("OPTIONS", "/text", "/text", "Origin: http://x\r\nAccess-Control-Request-Method: GET\r\n"),
    Odd("GET", "/empty", "/empty"),
    Odd("GET", "/reset", "/reset"),
    Odd("GET", "/teapot", "/teapot"),
    Odd("GET", "/moved", "/moved"),
    Odd("GET", "/strange", "/strange"),
    Odd("GET", "/legal", "/legal"),
    Odd("GET", "/stream/0", "/stream/{count}"),
    Odd("GET", "/stream/100", "/stream/{count}"),
    Odd("GET", "/promised", "/promised"),
    Odd("GET", "/file", "/file"),
    Odd("GET", "/file", "/file", "Range: bytes=0-9\r\n"),
    Odd("GET", "/gone-file", "/gone-file"),
    Odd("GET", "/zero", "/zero"),
    Odd("POST", "/zero", "/zero", "", "abc"),
    Odd("GET", "/items/7", "/items/{item_id}"),
    Odd("GET", "/items/7", "/items/{item_id}", "If-None-Match: x\r\n"),
    Odd("GET", "/items/%E2%82%AC", "/items/{item_id}"),
    Odd("GET", "/items/a%2Fb", "/items/a/b"),
    Odd("GET", "/items/a b".replace(" ", "%20"), "/items/{item_id}"),
    Odd("GET", "/items/", "/items/"),
    Odd("GET", "/rest/", "/rest/{rest}"),
    Odd("GET", "/rest/a/../b", "/rest/{rest}"),
    Odd("GET", "/rest/" + "x" * 3000, "/rest/{rest}"),
    Odd("GET", "/typed/7", "/typed/{number}"),
    Odd("GET", "/number/7", "/number/{number}"),
    Odd("GET", "/number/seven", "/number/{number}"),
    Odd("GET", "/number/" + "9" * 5000, "/number/{number}"),
    Odd("PUT", "/out/in/1/2", "/out/in/{a}/{b}"),
    Odd("DELETE", "/out/in/1/2", "/out/in/{a}/{b}"),
    Odd("GET", "/out/in/1/2", "/out/in/{a}/{b}"),
    Odd("HEAD", "/out/in/1/2", "/out/in/{a}/{b}"),
    Odd("GET", "/static/serving.py", "/static/{path}"),
    Odd("GET", "/static/../secret", "/static/{path}"),
    Odd("POST", "/static/serving.py", "/static/{path}"),
    Odd("GET", "/nowhere/42", "/nowhere/{id}"),
    Odd("GET", "/openapi.json", "/openapi.json"),
    Odd("GET", "/.env", "/.env"),
]


class OddRequests(IngestCase):
    def test_each_is_recorded_as_the_client_saw_it(self) -> None:
        self.assertGreaterEqual(len(REQUESTS), 50)
        app = odd_app()
        client = self.client()
        app.add_middleware(LakepulseMiddleware, client=client)
        self.site = Uvicorn(app)
        self.addCleanup(self.site.close)
        seen = [(self.status(odd), odd) for odd in REQUESTS]
        self.assertTrue(flush(client))
        found = {event["seq"]: event for event in self.ingest.performance()}
        self.assertEqual(sorted(found), list(range(1, len(REQUESTS) + 1)))
        for seq, (status, odd) in enumerate(seen, 1):
            with self.subTest(odd.method + " " + odd.path[:60]):
                method = "_OTHER" if odd.method == "PROPFIND" else odd.method
                event = found[seq]
                self.assertEqual((event["method"], event["endpoint"], event["status_code"]), (method, odd.endpoint, status))

    def status(self, odd: Odd) -> int:
        """Send a request as it is written, read to the end of the connection, and return the status."""
        head = f"{odd.method} {odd.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{odd.headers}"
        if odd.body:
            head += f"Content-Length: {len(odd.body)}\r\n"
        with socket.create_connection(("127.0.0.1", self.site.port), WAIT) as connection:
            connection.sendall((head + "\r\n" + odd.body).encode())
            answer = b""
            while True:
                part = connection.recv(65536)
                if not part:
                    return int(answer.split(b" ", 2)[1])
                answer += part

    def test_a_stream_that_breaks_is_an_error_though_its_status_had_been_sent(self) -> None:
        app = odd_app()
        client = self.client()
        app.add_middleware(LakepulseMiddleware, client=client)
        self.site = Uvicorn(app)
        self.addCleanup(self.site.close)
        self.assertEqual(self.status(Odd("GET", "/broken-stream", "")), 200)
        self.assertTrue(flush(client))
        (event,) = self.ingest.performance()
        self.assertEqual((event["status_code"], event["error_type"]), (500, "KeyError"))
