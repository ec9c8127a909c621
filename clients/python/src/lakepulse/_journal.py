"""The journal: how many events a process had not delivered, in a file that outlives it.

A process that is killed cannot report what it held. It keeps one number per queue in a small file, mapped into memory so
that even SIGKILL leaves the last value behind. The next process that sends for the same app finds the file, adds the
number to the drops that its next batch reports, and removes the file.

- The file is locked as long as its process lives; a file that can be locked belongs to a process that is gone.
- The number is an upper bound: a batch that was stored while its answer was lost counts as dropped.
- A directory that cannot be written, or is another user's, switches the journal off; nothing else depends on it.
- Where there is no ``fcntl`` (Windows) there is no journal.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import struct
import tempfile
import threading
from pathlib import Path
from typing import IO, Callable, List, Optional

from ._options import Options

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FORMAT = struct.Struct("<4sI2Q")  # mark, version, undelivered events of the two queues
_MARK = b"LPJ1"
_VERSION = 1
_MOST_FILES = 1000
_MOST_EVENTS = 1_000_000_000  # what ingest takes as a count; a larger one is a damaged file
_QUEUES = 2


class Journal:
    """One process's file. Opened by the sender's thread; written by every thread that queues an event."""

    def __init__(self, options: Options) -> None:
        self._directory = _directory(options)
        target = "\0".join((options.url or "", options.app_name or "", options.api_key or ""))
        self._prefix = hashlib.sha256(target.encode("utf-8")).hexdigest()[:16]
        self._lock = threading.Lock()
        self._path: Optional[Path] = None
        # It has a copy of the file's descriptor and with it the lock, until it is closed or the process ends.
        self._map: Optional[mmap.mmap] = None

    def after_fork(self) -> None:
        """Leave the parent's file alone: the child opens its own with its first event."""
        self._lock = threading.Lock()
        if self._map is not None:
            self._map.close()  # the child's copy; the parent's keeps the lock
        self._path = self._map = None

    def open(self) -> bool:
        """Create the file; report whether there is one now.

        Raises ``OSError`` where the directory cannot be used.
        """
        if self._directory is None or fcntl is None:
            return False
        with self._lock:
            if self._map is None:
                self._create(self._directory)
        return True

    def _create(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise PermissionError(f"{directory} must be a directory of this user that nobody else can write to")
        # Filled and locked under a name that nobody looks for, so that no other process takes it for a dead one's.
        path = directory / f"{self._prefix}-{os.getpid()}-{os.urandom(4).hex()}.new"
        with open(path, "x+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(_FORMAT.pack(_MARK, _VERSION, *[0] * _QUEUES))
            self._map = mmap.mmap(file.fileno(), _FORMAT.size)
        self._path = path.rename(path.with_suffix(".journal"))

    def take_over(self, add: Callable[[List[int]], None]) -> int:
        """Give ``add`` what each process that is gone has lost, per queue, and remove its file. Return the sum.

        The loss is noted in this process's file before the other is removed: a process that is killed in between
        counts twice, and never not at all.
        """
        lost = 0
        if self._directory is None or fcntl is None:
            return lost
        for path in sorted(self._directory.glob(self._prefix + "-*.journal"))[:_MOST_FILES]:
            if path == self._path:
                continue
            try:
                with open(path, "r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if not path.exists():
                        continue  # another process that started with this one has taken it over
                    found = _read(file)
                    add(found)
                    path.unlink()
            except OSError:
                continue  # its process lives, or another has just taken it over
            lost += sum(found)
        return lost

    def write(self, queue: int, undelivered: int) -> None:
        """Note how many events of a queue are not delivered. Called under the queue's lock, for every event."""
        if self._map is not None:
            struct.pack_into("<Q", self._map, 8 + 8 * queue, undelivered)

    def close(self, undelivered: int) -> None:
        """Remove the file when nothing is left to report; else leave it to the next process."""
        with self._lock:
            if undelivered or self._path is None:
                return
            path, self._path = self._path, None
            try:
                path.unlink()
            except OSError:
                return  # somebody has cleaned the directory up


def _read(file: IO[bytes]) -> List[int]:
    """Return the numbers of a file, zeros for one that is damaged."""
    content = file.read(_FORMAT.size)
    if len(content) < _FORMAT.size:
        return [0] * _QUEUES
    mark, version, *counts = _FORMAT.unpack(content)
    if mark != _MARK or version != _VERSION or max(counts) > _MOST_EVENTS:
        return [0] * _QUEUES
    return list(counts)


def _directory(options: Options) -> Optional[Path]:
    if options.journal == "":
        return None
    if options.journal is not None:
        return Path(options.journal)
    if not hasattr(os, "getuid"):
        return None
    return Path(tempfile.gettempdir()) / f"lakepulse-{os.getuid()}"
