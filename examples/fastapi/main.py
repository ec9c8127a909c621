"""A shop with three endpoints and a page, measured by Lakepulse.

The one line that matters is ``app.add_middleware(LakepulseMiddleware)``: it records every request and relays the page's
usage events. Everything it needs to know here comes from the environment (see ``run``).
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Dict, List

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse

from lakepulse import Client, LakepulseMiddleware

HERE = Path(__file__).resolve().parent
TRACKER = Path(os.environ.get("LAKEPULSE_TRACKER") or HERE.parents[1] / "web" / "tracker" / "dist" / "lakepulse.js")
ORDERS = {1: "tea", 2: "coffee", 3: "sugar"}

app = FastAPI(title="Lakepulse example")
# One second instead of five, so that the dashboard shows a click at once. A client of its own is only needed for
# track() below; otherwise the options go straight into add_middleware.
lakepulse = Client(app_version="1.0.0", flush_interval=1.0, exclude=["/tracker.js", "/favicon.ico"])
app.add_middleware(LakepulseMiddleware, client=lakepulse)


@app.get("/")
async def page() -> FileResponse:
    """The page with the tracker's script."""
    return FileResponse(HERE / "static" / "index.html")


@app.get("/tracker.js")
async def tracker() -> FileResponse:
    """The tracker, from the app's own origin."""
    if not TRACKER.is_file():
        raise HTTPException(404, "Build the tracker: npm --prefix web/tracker run build")
    return FileResponse(TRACKER, media_type="text/javascript")


@app.get("/api/orders")
async def orders() -> List[str]:
    """A request that takes its time."""
    await asyncio.sleep(random.uniform(0.005, 0.08))
    return list(ORDERS.values())


@app.get("/api/orders/{order_id}")
async def order(order_id: int) -> Dict[str, str]:
    """A request that fails for orders above 3."""
    if order_id not in ORDERS:
        raise HTTPException(404, "No such order")
    return {"name": ORDERS[order_id]}


@app.post("/api/reports")
async def report() -> Dict[str, int]:
    """A request that also sends a usage event from the server."""
    lakepulse.track(user_id="report@example.com", event_type="query_executed", metadata={"rows": len(ORDERS)})
    return {"rows": len(ORDERS)}


@app.get("/api/broken")
async def broken() -> None:
    """A request that raises."""
    raise ZeroDivisionError("on purpose")
