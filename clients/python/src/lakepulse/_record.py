"""Records of requests and usage events, and their form on the wire."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, Dict, Mapping, NamedTuple, Optional

from ._fields import METHODS, OTHER_METHOD, PERFORMANCE_FIELDS, PERFORMANCE_LENGTHS, USAGE_FIELDS, known
from ._ids import uuid7

MAX_TEXT = PERFORMANCE_LENGTHS["user_id"]  # ids, names of pages and elements, and types of errors alike
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class Identity(NamedTuple):
    """User, session, interaction, trace and correlation id of a request."""

    user_id: Optional[str] = None
    session_id: Optional[str] = None
    interaction_id: Optional[str] = None
    trace_id: Optional[str] = None
    correlation_id: Optional[str] = None


class Record(NamedTuple):
    """One request as it waits in the buffer. It holds no reference to the request itself."""

    started_at: float
    endpoint: str
    method: str
    status_code: int
    response_time_ms: float
    error_type: Optional[str]
    identity: Identity
    seq: int


class Sender(NamedTuple):
    """App, version and instance, the same in every event of this process."""

    app: Optional[str]
    app_version: Optional[str]
    instance: str


def text(value: object) -> Optional[str]:
    """Bring a value into a text the store takes: no NUL, at most 255 characters, None when nothing is left."""
    if value is None:
        return None
    found = str(value).replace("\x00", "").strip()[:MAX_TEXT]
    # A lone surrogate has no UTF-8 form: it would cost the whole batch.
    return found.encode("utf-8", "replace").decode("utf-8") or None


def identifier(value: object) -> Optional[str]:
    """Bring an id into a text the store takes, None for one of more than 255 characters: cut, it would be another's."""
    if value is None or len(str(value)) > MAX_TEXT:
        return None
    return text(value)


def identity_from(headers: Mapping[str, str], trust_forwarded: bool) -> Identity:
    """Read the identity from headers with lower-case names; the user only where the forwarded headers are trusted."""
    get = headers.get
    trace = get("traceparent")
    match = _TRACEPARENT.fullmatch(trace.strip()) if trace else None
    return Identity(
        user_id=signed_in_user(headers, trust_forwarded),
        session_id=identifier(get("x-lakepulse-session-id")),
        interaction_id=identifier(get("x-lakepulse-interaction-id")),
        trace_id=match.group(1) if match else None,
        correlation_id=identifier(get("x-correlation-id") or get("x-request-id")),
    )


def signed_in_user(headers: Mapping[str, str], trust_forwarded: bool) -> Optional[str]:
    """Return the user that the Databricks Apps proxy names: the e-mail address, else the user id.

    None where the headers are not trusted: without a proxy that overwrites them, a caller may send any name.
    """
    if not trust_forwarded:
        return None
    return identifier(headers.get("x-forwarded-email")) or identifier(headers.get("x-forwarded-user"))


# The headers that identity_from reads; middleware collects only these.
IDENTITY_HEADERS = frozenset(
    (
        "x-forwarded-email",
        "x-forwarded-user",
        "x-lakepulse-session-id",
        "x-lakepulse-interaction-id",
        "traceparent",
        "x-correlation-id",
        "x-request-id",
    )
)


def method_name(method: str) -> str:
    """Return the method, ``_OTHER`` for one that HTTP does not define: clients can send any word."""
    name = method.upper()
    return name if name in METHODS else OTHER_METHOD


def rfc3339(unix_seconds: float) -> str:
    """Format a moment as RFC 3339 in UTC with microseconds."""
    return datetime.fromtimestamp(unix_seconds, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_rfc3339(value: object) -> Optional[float]:
    """Return the Unix seconds of an RFC 3339 time, None when it is none."""
    if not isinstance(value, str):
        return None
    # Python 3.9 and 3.10 read neither "Z" nor nanoseconds.
    cut = re.sub(r"(\.\d{6})\d+", r"\1", value.replace("Z", "+00:00"))
    cut = re.sub(r"\.(\d{1,5})(?=[+-]|$)", lambda m: "." + m.group(1).ljust(6, "0"), cut)
    try:
        moment = datetime.fromisoformat(cut)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def performance_event(record: Record, sender: Sender, clock_offset: float) -> Dict[str, Any]:
    """Give a record its id and timestamp, for good: a retry sends this very event again."""
    moment = record.started_at + clock_offset
    values: Dict[str, Any] = {
        **sender._asdict(),
        **record.identity._asdict(),
        "id": uuid7(moment),
        "timestamp": rfc3339(moment),
        "endpoint": record.endpoint,
        "method": record.method,
        "status_code": record.status_code,
        "response_time_ms": round(max(0.0, record.response_time_ms), 3),
        "error_type": record.error_type,
        "seq": record.seq,
    }
    return known(PERFORMANCE_FIELDS, values)


class UsageRecord(NamedTuple):
    """A usage event made on the server, as it waits in the buffer."""

    happened_at: float
    fields: Dict[str, Any]


def usage_event(record: UsageRecord, sender: Sender, clock_offset: float) -> Dict[str, Any]:
    """Give a usage event its id and timestamp, for good."""
    moment = record.happened_at + clock_offset
    values: Dict[str, Any] = {**record.fields, "id": uuid7(moment), "timestamp": rfc3339(moment)}
    values.update(app=sender.app, app_version=sender.app_version)
    return known(USAGE_FIELDS, values)
