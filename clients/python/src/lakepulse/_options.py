"""The options of the client, their defaults, and the environment variables they are read from."""

from __future__ import annotations

import logging
import os
import re
import time
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Mapping, Optional, Pattern, Tuple, Union
from urllib.parse import urlsplit

from ._fields import PERFORMANCE_LENGTHS

ExcludePattern = Union[str, Pattern[str]]

_APP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ENVIRONMENT = {
    "url": "LAKEPULSE_URL",
    "api_key": "LAKEPULSE_API_KEY",
    "app_name": "LAKEPULSE_APP",
    "app_version": "LAKEPULSE_APP_VERSION",
    "instance": "LAKEPULSE_INSTANCE",
    "dev_user": "LAKEPULSE_DEV_USER",
    "journal": "LAKEPULSE_JOURNAL",
    "trust_forwarded": "LAKEPULSE_TRUST_FORWARDED",
}
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_MAX_BATCH = 1000


@dataclass(frozen=True)
class Options:
    """The options of a client. Times are seconds.

    ``url``, ``api_key``, ``app_name``, ``app_version``, ``instance``, ``dev_user`` and ``trust_forwarded`` come from
    ``LAKEPULSE_URL``, ``LAKEPULSE_API_KEY``, ``LAKEPULSE_APP``, … when they are not given. Without a ``url`` the client
    is off: middleware passes every request through untouched, so the same code runs where there is no collector.
    """

    url: Optional[str] = None
    """Where ingest listens, for example ``http://127.0.0.1:8080``."""
    api_key: Optional[str] = field(default=None, repr=False)
    """The app's key (``lp_…``). A local standalone in ``dev`` mode needs none."""
    app_name: Optional[str] = None
    """The ``app`` of the events. A key belongs to one app, so with a key it may be left out.

    (Not ``app``: ASGI frameworks give that name to the wrapped application.)"""
    app_version: Optional[str] = None
    instance: Optional[str] = None
    """Names the process; a random part is added, because ``seq`` starts anew with each process."""
    token_provider: Optional[Callable[[], str]] = field(default=None, repr=False)
    """Gives the ``Authorization`` header (a bare token gets ``Bearer`` put before it). Called in the background."""
    enabled: bool = True

    exclude: Tuple[ExcludePattern, ...] = ()
    """Paths not to record, besides the built-in ones: globs (``/static/*``) or compiled regular expressions."""
    timeout_threshold: float = 30.0
    """A request that runs this long is recorded as 504 ``Timeout``."""
    max_endpoints: int = 200
    """Distinct endpoints named after their path (where no route is known); the rest is ``{other}``."""

    buffer_size: int = 10_000
    batch_size: int = 500
    flush_interval: float = 5.0
    request_timeout: float = 10.0
    exit_timeout: float = 2.0
    """How long the process's exit may wait for the last batch."""
    handle_sigterm: bool = True
    """Whether SIGTERM, where nothing handles it, sends what waits before it ends the process (at most
    ``exit_timeout`` seconds later). A handler that is there is never replaced."""
    journal: Optional[str] = None
    """Directory of the files that count undelivered events, so that the next process reports what a killed one lost.
    None: ``lakepulse-UID`` in the system's directory for temporary files; ``""``: no journal."""

    relay_timeout: float = 5.0
    relay_concurrency: int = 8
    dev_user: Optional[str] = None
    """The relay's user when nobody is signed in, for work at one's desk. Refused together with ``api_key`` or
    ``token_provider``: with those, ingest believes the relay."""

    trust_forwarded: Optional[bool] = None
    """Whether ``X-Forwarded-Email`` and ``X-Forwarded-User`` name the user. Anybody can send these headers, so they
    count only behind a proxy that writes them itself. None: where ``DATABRICKS_APP_NAME`` is set, for the proxy of
    Databricks Apps does, and where ``dev_user`` is set, for a collector in dev mode believes everybody."""

    clock: Callable[[], float] = field(default=time.time, repr=False)
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("lakepulse"), repr=False)

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ValueError("lakepulse: " + "; ".join(problems))

    def _problems(self) -> "list[str]":
        found = []
        if self.url is not None:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                found.append("url must be http://host[:port] or https://host[:port]")
            elif parts.query or parts.fragment or parts.username is not None:
                found.append("url must carry no query, fragment or credentials")
        if self.app_name is not None and not _APP_NAME.fullmatch(self.app_name):
            found.append("app_name must match ^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
        if self.app_version is not None and len(self.app_version) > PERFORMANCE_LENGTHS["app_version"]:
            found.append(f"app_version must be at most {PERFORMANCE_LENGTHS['app_version']} characters")
        if not 1 <= self.batch_size <= _MAX_BATCH:
            found.append(f"batch_size must be 1..{_MAX_BATCH}")
        for name in ("buffer_size", "relay_concurrency", "max_endpoints"):
            if getattr(self, name) < 1:
                found.append(f"{name} must be at least 1")
        for name in ("timeout_threshold", "flush_interval", "request_timeout", "relay_timeout"):
            if not getattr(self, name) > 0:
                found.append(f"{name} must be more than 0 seconds")
        if not self.exit_timeout >= 0:
            found.append("exit_timeout must be 0 seconds or more")
        if (self.api_key or self.token_provider) and self.dev_user:
            found.append("dev_user is for a collector in dev mode: it cannot be used with api_key or token_provider")
        if isinstance(self.exclude, (str, re.Pattern)):
            found.append("exclude must be a list of patterns")
        for name in ("api_key", "dev_user"):
            value = getattr(self, name)
            if value is not None and not (value.isascii() and value.isprintable()):
                found.append(f"{name} must be printable ASCII")
        return found


def options_from(given: Mapping[str, Any], environ: Optional[Mapping[str, str]] = None) -> Options:
    """Build :class:`Options` from keyword arguments, filling gaps from the environment.

    Raises ``TypeError`` for a name that is no option and ``ValueError`` for a value that breaks a rule: a mistake
    in set-up is told at start, never swallowed like a mistake at run time.
    """
    known = {f.name for f in fields(Options)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise TypeError(f"lakepulse: unknown option {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    env = os.environ if environ is None else environ
    values = dict(given)
    for name, variable in _ENVIRONMENT.items():
        given_value = values.get(name)
        found = env.get(variable) if given_value is None else given_value
        values[name] = None if found == "" and name != "journal" else found
    if values.get("url"):
        values["url"] = values["url"].rstrip("/")
    if "exclude" in values and not isinstance(values["exclude"], (str, re.Pattern)):
        values["exclude"] = tuple(values["exclude"])
    values["trust_forwarded"] = _trusts(values.get("trust_forwarded"), values, env)
    if values.get("app_name") is None and not values.get("api_key"):
        # With a key, the key says which app this is; a guess that differs would get every event refused.
        values["app_name"] = env.get("DATABRICKS_APP_NAME") or None
    return Options(**values)


def _trusts(given: object, values: Mapping[str, Any], env: Mapping[str, str]) -> bool:
    """Return whether the forwarded headers name the user. Raises ``ValueError`` for a text that is neither yes nor no."""
    if given is None:
        return bool(env.get("DATABRICKS_APP_NAME") or values.get("dev_user"))
    if isinstance(given, bool):
        return given
    word = str(given).strip().lower()
    if word not in _YES + _NO:
        raise ValueError("lakepulse: trust_forwarded (LAKEPULSE_TRUST_FORWARDED) must be true or false")
    return word in _YES
