"""Which requests are recorded, and the endpoint they are recorded under.

Names must be few: each is a row per hour in the store. A route template is best; where the framework tells none, the
path is reduced (numbers, UUIDs, hex and tokens become ``{id}``) and the number of distinct names is bounded.
"""

from __future__ import annotations

import re
import threading
from typing import Iterable, List, Pattern, Set

from ._fields import PERFORMANCE_LENGTHS
from ._options import ExcludePattern

USAGE_EVENTS_PATH = "/api/v1/metrics/usage-events"
USAGE_COUNT_PATH = "/api/v1/metrics/usage/count"

OTHER = "{other}"
MAX_ENDPOINT = PERFORMANCE_LENGTHS["endpoint"]

_EXCLUDED_PATHS = frozenset(
    # The relay's own paths are no user-facing requests: whoever mounts it by hand should not see them either.
    ("/health", "/ready", "/ping", USAGE_EVENTS_PATH, USAGE_COUNT_PATH)
)
_EXCLUDED_PREFIXES = ("/internal/", "/admin/system/")

# <int:item_id> (Flask), {item_id:int} (Starlette) and {item_id} all become {item_id}. A converter may hold braces.
_FLASK_PARAMETER = re.compile(r"<(?:[^<>]*:)?([^<>:]+)>")
_BRACES_CONVERTER = re.compile(r"\{([^{}:]+):(?:[^{}]|\{[^{}]*\})*\}")

_MAX_SEGMENTS = 12
_VARIABLE = re.compile(
    r"[0-9]+"  # a number
    r"|[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}"  # a UUID
    r"|(?=[^0-9]*[0-9])[0-9a-fA-F]{6,}"  # hex of some length: needs a digit, so that "decade" stays a word
    r"|.*@.*"  # an address: an id, and nobody's business
    r"|(?=.*[0-9]).{20,}"  # a token
    r"|.{64,}"  # a text
    r"|.*[\x00-\x1f\x7f].*",
    re.DOTALL,
)


def clean_template(template: str) -> str:
    """Bring a framework's route template into the one form that is stored: ``/items/{item_id}``."""
    if "<" in template:
        template = _FLASK_PARAMETER.sub(r"{\1}", template)
    if ":" in template:
        template = _BRACES_CONVERTER.sub(r"{\1}", template)
    return template[:MAX_ENDPOINT] or "/"


def reduce_path(path: str) -> str:
    """Replace what varies in a path by ``{id}``, and cut what is too deep."""
    parts: List[str] = path.split("/")
    if len(parts) > _MAX_SEGMENTS:
        parts = parts[:_MAX_SEGMENTS] + ["{rest}"]
    reduced = "/".join("{id}" if part and _VARIABLE.fullmatch(part) else part for part in parts)
    return reduced[:MAX_ENDPOINT] or "/"


def _glob(pattern: str) -> Pattern[str]:
    """Compile a pattern in which ``*`` stands for any characters and every other character for itself."""
    return re.compile(".*".join(map(re.escape, pattern.split("*"))) + r"\Z", re.DOTALL)


class Exclusions:
    """The requests that are not recorded."""

    def __init__(self, patterns: Iterable[ExcludePattern] = ()) -> None:
        self._patterns: List[Pattern[str]] = [
            _glob(pattern) if isinstance(pattern, str) else pattern for pattern in patterns
        ]

    def excludes(self, path: str) -> bool:
        """Report whether requests to path stay out of the records."""
        if path in _EXCLUDED_PATHS or path.startswith(_EXCLUDED_PREFIXES):
            return True
        if path.endswith("/") and path[:-1] in _EXCLUDED_PATHS:
            return True
        for pattern in self._patterns:
            if pattern.match(path):
                return True
        return False


class PathNames:
    """Endpoint names made from paths, at most ``limit`` distinct ones."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: Set[str] = set()
        self._lock = threading.Lock()

    def name(self, path: str) -> str:
        """Return the name for a path: itself, reduced, or ``{other}`` once there are too many."""
        return self.bounded(reduce_path(path), OTHER)

    def bounded(self, name: str, otherwise: str) -> str:
        """Return a name that is given already or has a place, else ``otherwise``."""
        if name in self._seen:
            return name
        with self._lock:
            if len(self._seen) >= self._limit and name not in self._seen:
                return otherwise
            self._seen.add(name)
        return name

    def has(self, name: str) -> bool:
        """Report whether a name is one of those given already."""
        return name in self._seen

    def knows(self, path: str) -> bool:
        """Report whether the name of a path is one of those given already."""
        return reduce_path(path) in self._seen

    def after_fork(self) -> None:
        """Replace the lock: another thread may have held it when the process was forked."""
        self._lock = threading.Lock()
