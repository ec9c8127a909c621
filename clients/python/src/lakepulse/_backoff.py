"""The pause between attempts, by the rule all clients share: clients/spec/backoff.json."""

from __future__ import annotations

import random
from typing import Optional

_FIRST = 0.5
_LONGEST = 30.0
_LONGEST_RETRY_AFTER = 300.0


def pause(attempt: int, retry_after: Optional[float]) -> float:
    """Return the seconds to wait after failed attempt number ``attempt`` (1, 2, …).

    The pause doubles from 0.5 s to 30 s, by chance between half and all of it, so that the processes of a fleet do not
    come back together. After Retry-After it is by chance up to a quarter longer than asked, never shorter than without.
    """
    own = min(_LONGEST, _FIRST * 2.0 ** min(attempt - 1, 10)) * random.uniform(0.5, 1.0)
    if retry_after is None:
        return own
    return max(own, min(retry_after, _LONGEST_RETRY_AFTER) * random.uniform(1.0, 1.25))
