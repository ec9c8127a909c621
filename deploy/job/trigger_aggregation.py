"""Starts an aggregation run in the Lakepulse app and waits for its outcome.

Run by the Databricks job in databricks.yml, daily at 02:00 UTC. The job's failure
notification is the alert, so this exits non-zero for everything but a run that is
done:

    0  the run is done
    1  the app could not be reached, or did not let us in, until --timeout
    2  the run failed, or some of its hours did

The work is done in the app: a request through the Apps proxy may take 120 s at
most, so the run is started with one call and asked after with others. Both may be
repeated: the app answers with the run that is already waiting or working instead
of starting a second one. All calls of one start carry one correlation id; it is
printed, and stands in the app's log beside what the app did.

The token: inside a job the ambient credentials are not accepted by the front door
of an app, and are exchanged for a token of the app's audience. Where the workspace
refuses that, the client id and secret of a service principal are read from a
secret scope (keys client-id and client-secret). Standard library and databricks-sdk.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import logging
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

log = logging.getLogger("trigger_aggregation")

EXIT_DONE, EXIT_UNREACHABLE, EXIT_FAILED = 0, 1, 2

RUNS = "/api/v1/aggregation/runs"
FINISHED = {"done", "partial", "failed"}
# What a restarting app, its proxy or an ailing database answer; anything else is meant.
PASSING = {429, 500, 502, 503, 504}
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
REQUEST_TIMEOUT = 120.0  # the proxy's own


class Refused(Exception):
    """An answer that asking again does not change."""

    def __init__(self, status: int, message: str, correlation_id: str = "") -> None:
        found = f" (correlation id {correlation_id})" if correlation_id else ""
        super().__init__(f"{status}: {message}{found}")
        self.status = status


class Unreachable(Exception):
    """No usable answer until the deadline."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """The proxy redirects whom it does not know to a sign-in page."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(NoRedirects)


def call(method: str, url: str, headers: dict[str, str], data: bytes | None = None) -> Any:
    """Sends one request and returns its JSON."""
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with _opener.open(request, timeout=REQUEST_TIMEOUT) as response:
            body = response.read()
    except urllib.error.HTTPError as error:
        with error:
            status = 401 if 300 <= error.code < 400 else error.code
            answered = error.headers.get("X-Correlation-ID") or error.headers.get("X-Request-ID") or ""
            sent = headers.get("X-Correlation-ID", "")
            raise Refused(status, error.read(2000).decode("utf-8", "replace"), answered or sent) from None
    except http.client.HTTPException as error:
        # The connection ended within the answer: as good as none.
        raise ConnectionError(repr(error)) from error
    try:
        return json.loads(body)
    except ValueError:
        # A page of the proxy or a sign-in form, with status 200.
        raise Refused(502, "the answer is not JSON", headers.get("X-Correlation-ID", "")) from None


class Token:
    """The bearer token of the calls to the app, made on first use and anew when refused."""

    def __init__(self, audience: str, secret_scope: str, client: Callable[..., Any]) -> None:
        self._audience = audience
        self._scope = secret_scope
        self._client = client
        self._value = ""

    def get(self) -> str:
        if not self._value:
            self._value = self._make()
        return self._value

    def forget(self) -> None:
        self._value = ""

    def _make(self) -> str:
        workspace = self._client()
        ambient = bearer(workspace.config.authenticate())
        if getattr(workspace.config, "auth_type", "") == "oauth-m2m":
            return ambient  # a service principal's own OAuth token, which apps take
        try:
            return self._exchange(workspace.config.host, ambient)
        except Refused as refused:
            if refused.status in PASSING or not self._scope:
                raise
            log.info("the workspace does not exchange the job's token (%s); using the stored client", refused.status)
            return self._stored(workspace)

    def _exchange(self, host: str, ambient: str) -> str:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": ambient,
            "subject_token_type": "urn:databricks:params:oauth:token-type:personal-access-token",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "scope": "all-apis",
            "audience": self._audience,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = call("POST", https(host) + "/oidc/v1/token", headers, urllib.parse.urlencode(form).encode())
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not token:
            raise Refused(502, "the token exchange answered without a token")
        return str(token)

    def _stored(self, workspace: Any) -> str:
        def secret(key: str) -> str:
            return base64.b64decode(workspace.secrets.get_secret(self._scope, key).value).decode()

        client = self._client(
            host=workspace.config.host,
            client_id=secret("client-id"),
            client_secret=secret("client-secret"),
            auth_type="oauth-m2m",
        )
        return bearer(client.config.authenticate())


def bearer(headers: dict[str, str]) -> str:
    """The token in the headers the SDK makes."""
    return headers["Authorization"].removeprefix("Bearer ").strip()


def https(host: str) -> str:
    return (host if "://" in host else "https://" + host).rstrip("/")


class App:
    """Calls to the app, repeated while it is away, until the deadline."""

    def __init__(self, url: str, token: Token, deadline: float, clock: Clock) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._deadline = deadline
        self._clock = clock
        self.correlation_id = f"aggregation-job-{uuid.uuid4()}"
        log.info("correlation id of all calls to %s: %s", self._url, self.correlation_id)

    def call(self, method: str, path: str) -> Any:
        pause, refusals = FIRST_PAUSE, 0
        while True:
            try:
                return self._once(method, path)
            except Refused as refused:
                if refused.status == 401 and refusals == 0:
                    refusals += 1  # it may have expired while we waited: once more with a new one
                    self._token.forget()
                    continue
                if refused.status not in PASSING:
                    raise
                reason = str(refused)
            except OSError as error:  # refused, reset, timed out, no such host
                reason = str(error)
            if self._clock.now() + pause > self._deadline:
                raise Unreachable(f"{method} {path}: gave up: {reason} (correlation id {self.correlation_id})")
            log.info("%s %s: %s; again in %.0f s (correlation id %s)", method, path, reason, pause, self.correlation_id)
            self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _once(self, method: str, path: str) -> Any:
        headers = {
            "Authorization": "Bearer " + self._token.get(),
            "Accept": "application/json",
            "X-Correlation-ID": self.correlation_id,
        }
        return call(method, self._url + path, headers, b"" if method == "POST" else None)


class Clock:
    """Time, so that tests need not wait."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def outcome(app: App, poll: float, deadline: float, clock: Clock) -> dict[str, Any]:
    """Starts a run and returns it when it has finished."""
    run: dict[str, Any] = app.call("POST", RUNS)
    log.info("run %s is %s", run["id"], run["status"])
    while run["status"] not in FINISHED:
        if clock.now() + poll > deadline:
            raise Unreachable(f"run {run['id']} is still {run['status']}")
        clock.sleep(poll)
        run = app.call("GET", f"{RUNS}/{run['id']}")
    return run


def report(run: dict[str, Any], correlation: str) -> int:
    """Logs the receipt of a finished run and returns the exit code."""
    for failure in run.get("failures") or []:
        log.error("%s %s %s: %s", failure.get("time_bucket", ""), failure.get("app", ""),
                  failure.get("kind", ""), failure.get("message", ""))
    numbers = {k: v for k, v in run.items() if k.startswith(("hours_", "rows_", "aggregates_")) or k == "duration_ms"}
    level = logging.INFO if run["status"] == "done" else logging.ERROR
    log.log(level, "run %s: %s %s (correlation id %s)", run["id"], run["status"],
            json.dumps(numbers, sort_keys=True), correlation)
    return EXIT_DONE if run["status"] == "done" else EXIT_FAILED


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--app", required=True, help="name of the app")
    parser.add_argument("--url", default="", help="address of the app; looked up by its name if empty")
    parser.add_argument("--audience", default="", help="the app's OAuth client id; looked up by its name if empty")
    parser.add_argument("--secret-scope", default="", help="secret scope with client-id and client-secret, the fallback")
    parser.add_argument("--timeout", type=float, default=6900, help="seconds until the run must be done")
    parser.add_argument("--poll", type=float, default=10, help="seconds between questions")
    return parser.parse_args(argv)


def look_up(args: argparse.Namespace, client: Callable[..., Any]) -> None:
    """Fills in what the workspace knows of the app."""
    if args.url and args.audience:
        return
    workspace = client()
    url = f"{https(workspace.config.host)}/api/2.0/apps/{urllib.parse.quote(args.app, safe='')}"
    app = call("GET", url, dict(workspace.config.authenticate()))
    args.url = args.url or app["url"]
    args.audience = args.audience or app["oauth2_app_client_id"]


def main(argv: list[str], client: Callable[..., Any], clock: Clock | None = None) -> int:
    args = arguments(argv)
    clock = clock or Clock()
    deadline = clock.now() + args.timeout
    try:
        look_up(args, client)
        token = Token(args.audience, args.secret_scope, client)
        app = App(args.url, token, deadline, clock)
        run = outcome(app, args.poll, deadline, clock)
    except (Refused, Unreachable, OSError) as error:
        log.error("%s", error)
        return EXIT_UNREACHABLE
    return report(run, app.correlation_id)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    from databricks.sdk import WorkspaceClient

    code = main(sys.argv[1:], WorkspaceClient)
    # A job's Python runner may take any SystemExit for a failure, also one of 0.
    if code:
        sys.exit(code)
