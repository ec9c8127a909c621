"""Route templates of ASGI frameworks, read after the framework has routed the request.

FastAPI leaves ``scope["route"]``; plain Starlette leaves only its router, so its routes are matched once more. A mount
adds its own part: Starlette keeps where the app began in ``app_root_path`` and moves ``root_path`` on.
"""

from __future__ import annotations

from typing import Any, Mapping, MutableMapping, Optional

from ._endpoints import reduce_path

_MAX_MOUNTS = 8


def template_of(scope: MutableMapping[str, Any], path: str, root: str) -> Optional[str]:
    """Return the template of a routed request, None where no route matched or the framework tells none.

    ``path`` and ``root`` are the scope's as they were before routing, which may have moved them.
    """
    route = scope.get("route")
    template = getattr(route, "path", None)
    if isinstance(template, str):
        return _mounted_at(scope, root) + template
    router = scope.get("router")
    if router is None:
        return None
    before = {**scope, "path": path, "root_path": root}
    before.pop("app_root_path", None)
    before.pop("path_params", None)
    return _match(getattr(router, "routes", None), before, 0)


def _mounted_at(scope: Mapping[str, Any], root: str) -> str:
    """Return the mounts' part of the path, their parameters by name."""
    if "app_root_path" not in scope:
        return ""
    base: str = scope["app_root_path"] or ""
    now: str = scope.get("root_path") or ""
    part = now[len(base) :] if now.startswith(base) else now[len(root) :]
    if not part:
        return ""
    named = {str(value): name for name, value in (scope.get("path_params") or {}).items()}
    segments = ["{%s}" % named[s] if s in named else s for s in part.strip("/").split("/")]
    return reduce_path("/" + "/".join(segments))


def _match(routes: Any, scope: MutableMapping[str, Any], depth: int) -> Optional[str]:
    if depth > _MAX_MOUNTS:
        return None
    partial: Optional[str] = None
    for route in routes or ():
        matches = getattr(route, "matches", None)
        if matches is None:
            continue
        match, child = matches(scope)
        if match.value == 0:
            continue
        template = getattr(route, "path", "")
        inner = getattr(route, "routes", None)
        if hasattr(route, "methods"):
            if match.value == 2:
                return str(template)
            partial = partial or str(template)
        elif inner:
            below = _match(inner, {**scope, **child}, depth + 1)
            return None if below is None else f"{template}{below}"
        else:
            return f"{template}/{{path}}"
    return partial
