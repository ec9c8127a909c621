"""Classifies an answer of ingest to a batch by the rules all clients share: clients/spec/answers.json."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Dict, List, NamedTuple, Optional

from ._transport import Answer


class Kind(Enum):
    """The class of an answer, which decides what happens to the batch."""

    ACCEPTED = "accepted"
    """It is settled; single events may be refused for good."""
    TEMPORARY = "temporary"
    """The same events under the same ids again, for as long as it takes."""
    DENIED = "denied"
    """The key, the token or the address is wrong: again a few times, then dropped."""
    TOO_LARGE = "too_large"
    """Again in halves."""
    INVALID = "invalid"
    """Ingest cannot read it and never will: dropped."""


class Verdict(NamedTuple):
    """The meaning of one answer."""

    kind: Kind
    rejected: List[Dict[str, Any]]
    """The refused events of an accepted batch: ``index``, ``field``, ``reason``."""
    retry_after: Optional[float]
    """Seconds, None where the header is absent or says nothing that can be used."""


_TEMPORARY = (408, 425, 429)


def judge(answer: Answer, events: int, now: float) -> Verdict:
    """Return what an answer to a batch of so many events means; ``now`` is the clock in Unix seconds."""
    rejected = _rejected(answer, events)
    if answer.status == 202 or (answer.status == 400 and rejected):
        return Verdict(Kind.ACCEPTED, rejected, None)
    # A status of 200 or a redirect is no acceptance: a sign-in page or another server answers so.
    kind = Kind.DENIED
    if answer.status in (400, 415):
        kind = Kind.INVALID
    elif answer.status == 413:
        kind = Kind.TOO_LARGE
    elif answer.status >= 500 or answer.status in _TEMPORARY:
        kind = Kind.TEMPORARY
    return Verdict(kind, [], retry_after(answer, now))


def retry_after(answer: Answer, now: float) -> Optional[float]:
    """Return the seconds of ``Retry-After``, given as a number or as a date; None where it is neither or past."""
    value = str(answer.headers.get("Retry-After", "")).strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) < 10 else None
    try:
        seconds = parsedate_to_datetime(value).timestamp() - now
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return seconds if seconds > 0 else None


def _rejected(answer: Answer, events: int) -> List[Dict[str, Any]]:
    said = answer.json().get("rejected")
    found = [refusal for refusal in said if isinstance(refusal, dict)] if isinstance(said, list) else []
    return found[:events]
