"""Dash: one line for every server it runs on (Flask, FastAPI, Quart), with callbacks named by their outputs.

    init_dash(app)
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from ._client import Client
from .asgi import LakepulseMiddleware
from .flask import init_flask


def init_dash(
    app: Any,
    client: Optional[Client] = None,
    *,
    user_id: Optional[Callable[[Any], Optional[str]]] = None,
    relay: bool = True,
    **options: Any,
) -> Client:
    """Measure a Dash app and mount the relay; return the client.

    A callback's endpoint is ``/_dash-update-component/`` and its output, for example ``graph.figure``. ``user_id`` is
    called with Flask's request, or with the scope where Dash runs on FastAPI or Quart. Inside a callback
    :func:`lakepulse.set_route`, :func:`lakepulse.set_user` and :func:`lakepulse.track` work. Raises ``TypeError`` for a
    server that is none of the three.
    """
    if client is not None and options:
        raise TypeError("lakepulse: give either a client or its options")
    server = app.server
    made = client or Client(**options)
    if hasattr(server, "wsgi_app"):
        return init_flask(server, made, user_id=user_id, relay=relay)
    if hasattr(server, "add_middleware"):
        server.add_middleware(LakepulseMiddleware, client=made, user_id=user_id, relay=relay)
    elif hasattr(server, "asgi_app"):
        server.asgi_app = LakepulseMiddleware(server.asgi_app, made, user_id=user_id, relay=relay)
    else:
        raise TypeError(f"lakepulse: Dash runs on {type(server).__name__}, which is neither Flask, FastAPI nor Quart")
    return made
