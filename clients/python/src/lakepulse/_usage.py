"""The rules of a usage event, which ingest judges the same: see clients/spec/usage.json."""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, Optional

from ._fields import USAGE_LENGTHS

_EVENT_TYPE = re.compile(r"[a-z][a-z0-9_.]{0,99}")
_MAX_METADATA = 8 << 10
_MAX_DEPTH = 32


def usage_problem(fields: Mapping[str, Any]) -> Optional[str]:
    """Return which field of a usage event breaks which rule, as ``field: rule``; None when ingest would take it."""
    event_type = fields["event_type"]
    if not isinstance(event_type, str) or not _EVENT_TYPE.fullmatch(event_type):
        return "event_type: must match ^[a-z][a-z0-9_.]{0,99}$"
    if not fields["user_id"]:
        return "user_id: is required"
    for name in ("user_id", "page_name", "element_id", "session_id", "interaction_id"):
        value = str(fields[name] or "")
        if len(value) > USAGE_LENGTHS[name]:
            return f"{name}: must be at most {USAGE_LENGTHS[name]} characters"
        if "\x00" in value:
            return f"{name}: must not contain NUL"
    return _metadata_problem(fields["metadata"])


def _metadata_problem(metadata: Optional[Mapping[str, Any]]) -> Optional[str]:
    if metadata is None:
        return None
    try:
        encoded = json.dumps(dict(metadata), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(encoded.encode("utf-8"))
    except (TypeError, ValueError, RecursionError) as error:
        return f"metadata: is no JSON object: {error}"
    if size > _MAX_METADATA:
        return "metadata: must be at most 8 KiB of JSON"
    # An escaped backslash before "u0000" is no NUL, so backslashes are taken away in pairs first.
    if "\\u0000" in encoded.replace("\\\\", ""):
        return "metadata: must not contain NUL"
    if _depth(json.loads(encoded)) > _MAX_DEPTH:
        return f"metadata: must be at most {_MAX_DEPTH} levels deep"
    return None


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
