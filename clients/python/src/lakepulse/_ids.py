"""Identifiers: event ids that sort by time, and the name of this process."""

from __future__ import annotations

import os
import socket
import uuid
from typing import Optional

_MAX_NAME = 200


def uuid7(unix_seconds: float) -> str:
    """Return a UUIDv7 (RFC 9562) for a moment: 48 bits of milliseconds, 74 bits of randomness.

    The randomness comes from the kernel, so two processes forked from one never make the same id.
    """
    millis = max(0, int(unix_seconds * 1000)) & (1 << 48) - 1
    noise = int.from_bytes(os.urandom(10), "big")
    value = millis << 80 | 0x7 << 76 | (noise >> 62 & 0xFFF) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def instance_name(given: Optional[str]) -> str:
    """Return a name that no other process, and no earlier run of this one, has.

    ``seq`` counts from 1 in each process, so (instance, seq) proves losses only if instance is unique.
    """
    base = given or socket.gethostname() or "python"
    return f"{base[:_MAX_NAME]}-{os.getpid()}-{os.urandom(4).hex()}"
