"""The request under way: what an app can say about it from anywhere inside its handling.

The middleware sets it for the code it calls; threads that the framework starts for a request see it too where the
framework copies the context (Starlette, Flask's ``copy_current_request_context``, ``asyncio.to_thread``).
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Mapping, Optional

from ._endpoints import clean_template
from ._record import identifier

if TYPE_CHECKING:
    from ._client import Exchange

CURRENT: "ContextVar[Optional[Exchange]]" = ContextVar("lakepulse_request", default=None)
_logger = logging.getLogger("lakepulse")


def set_route(template: str) -> None:
    """Name the endpoint of the request under way, for example ``/orders/{order_id}``.

    ``template`` has at most 500 characters; what is longer is cut. Outside a measured request nothing happens.
    Call it with one of a few names: each is a row per hour in the store.
    """
    exchange = CURRENT.get()
    if exchange is not None:
        exchange.route = clean_template(template)


def set_user(user_id: Optional[str]) -> None:
    """Name the user of the request under way, None for nobody. A name of over 255 characters names nobody.

    It goes before the headers and before the ``user_id`` callback. Outside a measured request nothing happens.
    """
    exchange = CURRENT.get()
    if exchange is not None:
        exchange.set_user(identifier(user_id))


def track(
    event_type: str,
    *,
    user_id: Optional[str] = None,
    page_name: Optional[str] = None,
    element_id: Optional[str] = None,
    success: Optional[bool] = None,
    metadata: Optional[Mapping[str, Any]] = None,
) -> bool:
    """Send a usage event with the user, session and interaction of the request under way.

    Like :meth:`lakepulse.Client.track`, by the client that measures the request. Report whether it was queued: an
    event that breaks a rule, or is sent outside a measured request, is logged and not queued.
    """
    exchange = CURRENT.get()
    if exchange is None:
        _logger.warning("lakepulse: event %r not sent: no request is under way; use Client.track", event_type)
        return False
    return exchange.client.track(
        event_type=event_type,
        user_id=user_id,
        page_name=page_name,
        element_id=element_id,
        success=success,
        metadata=metadata,
    )
