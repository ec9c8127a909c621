"""Lakepulse for Python apps: one performance record per request, and the browser tracker's relay.

Standard library only. See ``docs/clients/python.md`` for every option, and what is collected and what never is.

- :class:`LakepulseMiddleware` and :class:`LakepulseRelay` for ASGI (FastAPI, Starlette, Gradio, Quart),
- :class:`LakepulseWSGIMiddleware` and :class:`LakepulseWSGIRelay` for WSGI, :func:`init_flask` for Flask,
- :func:`init_dash`, :mod:`lakepulse.streamlit`, :mod:`lakepulse.gradio` and :mod:`lakepulse.shiny`, one line each,
- :func:`set_route`, :func:`set_user` and :func:`track` for the request under way, from anywhere inside its handling,
- :class:`Client` for usage events from the server, for requests no middleware sees, and for the numbers.

Invariants: the app never waits for the collector, never sees an error of it, and holds a bounded number of events;
an event keeps its id and timestamp over all retries; what is lost is counted and reported.
"""

from ._client import Client, Stats
from ._current import set_route, set_user, track
from ._options import Options
from ._version import __version__
from .asgi import LakepulseMiddleware, LakepulseRelay
from .dash import init_dash
from .flask import init_flask
from .wsgi import LakepulseWSGIMiddleware, LakepulseWSGIRelay

__all__ = [
    "Client",
    "LakepulseMiddleware",
    "LakepulseRelay",
    "LakepulseWSGIMiddleware",
    "LakepulseWSGIRelay",
    "Options",
    "Stats",
    "__version__",
    "init_dash",
    "init_flask",
    "set_route",
    "set_user",
    "track",
]
