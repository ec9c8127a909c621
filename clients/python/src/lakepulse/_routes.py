"""Route templates of ASGI frameworks, read from the scope after the framework has routed the request.

- FastAPI leaves the matched route in ``scope["route"]``. From 0.137 on that route does not know the prefixes of
  ``include_router``; the full path stands in ``scope["fastapi"]["effective_route_context"]``.
- Starlette leaves only its router, so the router's routes are matched once more.
- A mount moves ``root_path`` on and keeps where the app began in ``app_root_path``; its template goes in front.

Nothing is imported from the frameworks: the attributes are looked up by name, so that a version without one of them
costs the template and never the request.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator, List, Mapping, MutableMapping, NamedTuple, Optional, Tuple

from ._endpoints import reduce_path

_MAX_MOUNTS = 8
_NO_MATCH, _FULL = 0, 2


class _Matched(NamedTuple):
    """The result of following the routes for a request."""

    mounts: str
    """The templates of the mounts on the way, joined."""
    root_path: str
    """The request's ``root_path`` below those mounts."""
    leaf: Optional[str]
    """The template of the route at the end, None when no route matched there."""


def router_of(scope: Mapping[str, Any]) -> Any:
    """Return the outermost router of the app, None where the framework has none.

    A middleware that answers before routing (a sign-in check) leaves no ``router``; the app itself still has one.
    """
    return scope.get("router") or getattr(scope.get("app"), "router", None)


def template_of(scope: MutableMapping[str, Any], path: str) -> Optional[str]:
    """Return the template of a routed request, None where no route matched or the framework tells none.

    ``path`` is the scope's as it was before routing: older versions of Starlette cut off what a mount matched.
    """
    template = _route_path(scope)
    if template is not None and not _moved_by_mounts(scope):
        return template
    matched = _match_again(scope, path)
    if template is None:
        if matched is not None and matched.leaf is not None:
            return matched.mounts + matched.leaf
        return _frontend_path(scope)
    seen = _Matched("", root_before_routing(scope), None) if matched is None else matched
    return seen.mounts + _hidden_mounts(scope, seen.root_path) + template


def path_within(path: str, root: str) -> str:
    """Return the path within the app: servers and frameworks disagree whether ``root_path`` is part of ``path``."""
    root = root.rstrip("/")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :] or "/"
    return path


def root_before_routing(scope: Mapping[str, Any]) -> str:
    """Return ``root_path`` as the server, or the app itself, has set it."""
    root = scope.get("app_root_path")
    return str((scope.get("root_path") if root is None else root) or "")


def _moved_by_mounts(scope: Mapping[str, Any]) -> str:
    """Return the part of the path that mounts have matched."""
    return str(scope.get("root_path") or "")[len(root_before_routing(scope)) :]


def _route_path(scope: Mapping[str, Any]) -> Optional[str]:
    """Return the path of the route that FastAPI chose, with the prefixes of the routers it was included by."""
    route = scope.get("route")
    if route is None:
        return None
    context = _included(scope).get("effective_route_context")
    # The context of an outer app stays in the scope of a mounted one: it counts for its own route only.
    chosen = context if getattr(context, "original_route", None) is route else route
    path = getattr(chosen, "path", None)
    return path if isinstance(path, str) else None


def _included(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    found = scope.get("fastapi")
    return found if isinstance(found, Mapping) else {}


def _frontend_path(scope: Mapping[str, Any]) -> Optional[str]:
    """Return the template of the files that FastAPI serves by ``app.frontend``: they have no route."""
    file = _included(scope).get("frontend_path")
    path = scope.get("path")
    if not isinstance(file, str) or not isinstance(path, str) or not path.endswith(file):
        return None
    return path_within(path[: len(path) - len(file)], root_before_routing(scope)).rstrip("/") + "/{path}"


def _match_again(scope: MutableMapping[str, Any], path: str) -> Optional[_Matched]:
    """Match the app's routes again, as the framework did before it changed the scope."""
    router = router_of(scope)
    if router is None:
        return None
    before = {**scope, "path": path, "root_path": root_before_routing(scope)}
    for changed in ("app_root_path", "path_params", "fastapi", "route"):
        before.pop(changed, None)
    return _match(getattr(router, "routes", None), before, 0)


def _match(routes: Optional[Iterable[Any]], scope: MutableMapping[str, Any], depth: int) -> Optional[_Matched]:
    if depth > _MAX_MOUNTS:
        return None
    partial: Optional[_Matched] = None
    here: str = scope.get("root_path") or ""
    for route in _flat(routes or ()):
        match, child = route.matches(scope)
        if match.value == _NO_MATCH:
            continue
        template = getattr(route, "path", None)
        if hasattr(route, "methods"):
            found = _Matched("", here, template if isinstance(template, str) else None)
            if match.value == _FULL:
                return found
            partial = partial or found
            continue
        # A host has no path; a mount is final, as it is for the framework.
        return _below(route, template if isinstance(template, str) else "", {**scope, **child}, depth)
    return partial


def _below(route: Any, template: str, scope: MutableMapping[str, Any], depth: int) -> Optional[_Matched]:
    """Follow a mount, or a host, to the route below it."""
    inner = getattr(route, "routes", None)
    here: str = scope.get("root_path") or ""
    if not inner:  # another ASGI app, such as static files
        return _Matched(template, here, "/{path}")
    below = _match(inner, scope, depth + 1)
    if below is None:
        return _Matched(template, here, None)
    return below._replace(mounts=template + below.mounts)


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """Yield the routes, those of included routers (FastAPI 0.137 and newer) with their full paths."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            if hasattr(route, "matches"):
                yield route
            continue
        for context in contexts():
            # An APIRoute is matched by its context, everything else by the copy that has the prefix.
            yield getattr(context, "starlette_route", None) or context


def _hidden_mounts(scope: Mapping[str, Any], seen: str) -> str:
    """Return the part of ``root_path`` after ``seen``, parameters named by their values.

    It belongs to mounts that the routes do not show, because a middleware is wrapped around the mounted app.
    """
    part = str(scope.get("root_path") or "")[len(seen) :].strip("/")
    if not part:
        return ""
    names: List[Tuple[str, str]] = [(str(value), name) for name, value in (scope.get("path_params") or {}).items()]
    segments = []
    for segment in part.split("/"):
        known = next((pair for pair in names if pair[0] == segment), None)
        if known is not None:
            names.remove(known)  # each parameter stands for one segment
            segment = "{%s}" % known[1]
        segments.append(segment)
    return reduce_path("/" + "/".join(segments))
