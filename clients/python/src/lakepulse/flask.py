"""Flask: one line, with exceptions by name and users by Flask's request.

    init_flask(app, url="http://127.0.0.1:8080", app_name="orders")
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from ._client import Client
from .wsgi import ERROR_KEY, RULE_KEY, USER_KEY, Environ, LakepulseWSGIMiddleware, learn_output


def init_flask(
    app: Any,
    client: Optional[Client] = None,
    *,
    user_id: Optional[Callable[[Any], Optional[str]]] = None,
    relay: bool = True,
    **options: Any,
) -> Client:
    """Measure a Flask app and mount the relay; return the client.

    ``user_id`` is called with Flask's request, inside its context, so the session and ``current_user`` work there.
    """
    if client is not None and options:
        raise TypeError("lakepulse: give either a client or its options")
    made = client or Client(**options)
    by_environ = None
    if user_id is not None:
        by_environ = _in_context(app, user_id)

    def learn(error: Optional[BaseException]) -> None:
        from flask import request

        if request.url_rule is not None:
            request.environ[RULE_KEY] = request.url_rule.rule
            learn_output(request.environ, request.url_rule.rule, request)
        if error is not None:
            request.environ[ERROR_KEY] = type(error).__name__
        if user_id is None:
            return
        request.environ[USER_KEY] = None
        try:
            request.environ[USER_KEY] = user_id(request)
        except Exception as problem:  # the app's code must not break the app by way of ours
            made.throttle.warn("user_id", "the user_id callback raised %r", problem)

    app.teardown_request(learn)
    app.wsgi_app = LakepulseWSGIMiddleware(app.wsgi_app, made, user_id=by_environ, relay=relay)
    return made


def _in_context(app: Any, user_id: Callable[[Any], Optional[str]]) -> Callable[[Environ], Optional[str]]:
    """The relay answers before Flask is asked, so the callback gets a context of its own."""

    def by_environ(environ: Environ) -> Optional[str]:
        from flask import request

        # A copy of environ: Flask leaves its request in it, which would pass for the one that was routed.
        with app.request_context({**environ}):
            return user_id(request)

    return by_environ
