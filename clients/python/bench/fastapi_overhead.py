#!/usr/bin/env python3
"""What measuring adds to a FastAPI request: ours, ours with no collector, and an INSERT per request by SQLAlchemy.

    fastapi_overhead.py [--dsn postgresql+psycopg2://user@host/db] [--rounds 30] [--requests 200] [--url INGEST]

Each variant is the same app under uvicorn in a process of its own, asked over one kept-alive connection. Rounds of the
variants alternate, so that what else the machine does falls on all alike. Without --url a process of ours takes the
batches and answers 202; without --dsn the INSERT is left out. Prints p50 and p99 in milliseconds, what each variant
adds to the bare app, and ours as a part of the INSERT's. The table it makes (lakepulse_bench_requests) is dropped.

Needs fastapi and uvicorn; with --dsn also sqlalchemy and psycopg2 (Debian: python3-fastapi python3-uvicorn
python3-sqlalchemy python3-psycopg2).
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Dict, List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

HEADERS = {
    "X-Forwarded-Email": "jo@example.com",
    "X-Request-Id": "0e7b3a0c-9a52-4b52-9b0f-7d3f6f0f5a11",
    "X-Lakepulse-Session-Id": "0190c1f2-aaaa-7bbb-8ccc-123456789abc",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Accept": "application/json",
    "Cookie": "session=" + "x" * 400,
}
NOBODY = "http://127.0.0.1:9"


def bare_app() -> Any:
    """Return the app that is measured."""
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/orders/{order_id}")
    async def order(order_id: int) -> Dict[str, int]:
        return {"order": order_id}

    return app


def measured_app(url: str) -> Any:
    """Return the app with our middleware."""
    import logging

    from lakepulse import LakepulseMiddleware

    logging.getLogger("lakepulse").setLevel(logging.CRITICAL)
    app = bare_app()
    app.add_middleware(LakepulseMiddleware, url=url, app_name="bench")
    return app


def inserting_app(dsn: str) -> Any:
    """Return the app that writes a row for each request before it answers."""
    import sqlalchemy as sa
    from sqlalchemy.orm import Session
    from starlette.concurrency import run_in_threadpool

    engine = sa.create_engine(dsn, pool_size=10)
    table = table_of(sa.MetaData())
    app = bare_app()

    def insert(row: Dict[str, Any]) -> None:
        with Session(engine) as session:
            session.execute(table.insert(), row)
            session.commit()

    @app.middleware("http")
    async def record(request: Any, call_next: Any) -> Any:
        started = time.perf_counter()
        response = await call_next(request)
        row = {
            "endpoint": request.scope["route"].path,
            "method": request.method,
            "status_code": response.status_code,
            "response_time_ms": (time.perf_counter() - started) * 1000,
            "user_id": request.headers.get("x-forwarded-email"),
        }
        await run_in_threadpool(insert, row)
        return response

    return app


def table_of(metadata: Any) -> Any:
    """Return the table the inserting app writes to."""
    import sqlalchemy as sa

    return sa.Table(
        "lakepulse_bench_requests",
        metadata,
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("timestamp", sa.DateTime(timezone=True), server_default=sa.func.now(), index=True),
        sa.Column("endpoint", sa.String(500), index=True),
        sa.Column("method", sa.String(10)),
        sa.Column("status_code", sa.Integer),
        sa.Column("response_time_ms", sa.Float),
        sa.Column("user_id", sa.String(255)),
    )


def serve(kind: str, where: Optional[str], listener: socket.socket) -> None:
    """Run one variant until it is terminated."""
    import uvicorn

    made = {"bare": lambda: bare_app(), "insert": lambda: inserting_app(str(where))}
    app = made.get(kind, lambda: measured_app(str(where)))()
    uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_keep_alive=600)).run(sockets=[listener])


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Take a batch."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"events_received":0,"status":"processing"}'
        self.send_response(202)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def sink(port: Any) -> None:
    """Take batches until terminated."""
    server = HTTPServer(("127.0.0.1", 0), _Sink)
    port.send(server.server_port)
    server.serve_forever()


class Variant:
    """A running app and the times of its requests."""

    def __init__(self, name: str, kind: str, where: Optional[str]) -> None:
        self.name = name
        self.times: List[float] = []
        # With the protocol named, asyncio turns Nagle's algorithm off; else every answer waits 40 ms for an ACK.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        self.process = multiprocessing.Process(target=serve, args=(kind, where, listener), daemon=True)
        self.process.start()
        self._connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=60)
        listener.close()

    def round(self, requests: int, keep: bool = True) -> None:
        """Ask so many times, one after another."""
        for n in range(requests):
            started = time.perf_counter()
            self._connection.request("GET", f"/orders/{n}", headers=HEADERS)
            response = self._connection.getresponse()
            body = response.read()
            took = (time.perf_counter() - started) * 1000
            if response.status != 200:
                raise SystemExit(f"{self.name}: status {response.status}: {body[:200]!r}")
            if keep:
                self.times.append(took)

    def at(self, share: float) -> float:
        """Return the time that this share of the requests stayed within."""
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * share))]


def main() -> None:
    """Run the variants side by side and print what they add."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dsn", help="SQLAlchemy URL of a Postgres to insert into")
    parser.add_argument("--url", help="an ingest to send to instead of a sink of our own")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--requests", type=int, default=200, help="per variant and round")
    args = parser.parse_args()

    url = args.url or start_sink()
    variants = [
        Variant("bare", "bare", None),
        Variant("lakepulse", "ours", url),
        Variant("lakepulse, no collector", "ours", NOBODY),
    ]
    if args.dsn:
        remake_table(args.dsn, make=True)
        variants.append(Variant("INSERT per request", "insert", args.dsn))
    try:
        for variant in variants:
            variant.round(300, keep=False)
        for n in range(args.rounds):
            for variant in variants[n % len(variants) :] + variants[: n % len(variants)]:
                variant.round(args.requests)
    finally:
        for variant in variants:
            variant.process.terminate()
            variant.process.join(10)
        if args.dsn:
            remake_table(args.dsn, make=False)
    report(variants)


def start_sink() -> str:
    """Start a process that takes batches; return where it listens."""
    mine, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=sink, args=(theirs,), daemon=True).start()
    return f"http://127.0.0.1:{mine.recv()}"


def remake_table(dsn: str, make: bool) -> None:
    """Drop the bench's table, and make it anew if asked to."""
    import sqlalchemy as sa

    engine, metadata = sa.create_engine(dsn), sa.MetaData()
    table_of(metadata)
    metadata.drop_all(engine)
    if make:
        metadata.create_all(engine)
    engine.dispose()


def report(variants: List[Variant]) -> None:
    """Print times, additions and ratios."""
    bare = variants[0]
    print(f"{len(bare.times)} requests each, one connection; milliseconds")
    print(f"{'variant':<26}{'p50':>9}{'p99':>9}{'p50 added':>11}{'p99 added':>11}")
    for variant in variants:
        p50, p99 = variant.at(0.5), variant.at(0.99)
        print(f"{variant.name:<26}{p50:>9.3f}{p99:>9.3f}{p50 - bare.at(0.5):>11.3f}{p99 - bare.at(0.99):>11.3f}")
    insert = [variant for variant in variants if variant.name.startswith("INSERT")]
    for variant in insert:
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            theirs = variant.at(share) - bare.at(share)
            ours = variants[1].at(share) - bare.at(share)
            print(f"{name} added, lakepulse / INSERT: {ours / theirs:.3f}" if theirs > 0 else f"{name}: INSERT added nothing")


if __name__ == "__main__":
    main()
