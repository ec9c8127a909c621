"""Logs each kind of problem at most once a minute, so that an outage does not flood the app's log."""

from __future__ import annotations

import logging
import threading
import time
from typing import Dict, Optional, Tuple

_EVERY_SECONDS = 60.0


class Throttle:
    """Logs each kind of trouble at most once a minute, with how often it happened in between."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._last: Dict[str, Tuple[Optional[float], int]] = {}

    def warn(self, kind: str, message: str, *args: object) -> None:
        """Log a warning unless this kind was logged within the last minute."""
        now = time.monotonic()
        with self._lock:
            at, held_back = self._last.get(kind, (None, 0))
            if at is not None and now - at < _EVERY_SECONDS:
                self._last[kind] = (at, held_back + 1)
                return
            self._last[kind] = (now, 0)
        if held_back:
            message += " (and %d more of the kind since the last line)"
            args += (held_back,)
        self._logger.warning("lakepulse: " + message, *args)

    def after_fork(self) -> None:
        """Replace the lock: another thread may have held it when the process was forked."""
        self._lock = threading.Lock()
