"""Route templates from the scopes that FastAPI and Starlette leave behind.

The doubles have the attributes that FastAPI 0.137 to 0.141 and Starlette 1.3 give their routes, routers and scopes:
these versions cannot be had where the tests run everywhere. The versions that can are in tests/integration.
"""

from __future__ import annotations

import re
import unittest
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, Optional, Tuple

from lakepulse._routes import template_of

Found = Tuple[Any, Dict[str, Any]]
NONE, PARTIAL, FULL = (SimpleNamespace(value=value) for value in (0, 1, 2))


def _pattern(path: str, rest: str) -> "re.Pattern[str]":
    return re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + rest)


def _path_below(scope: Dict[str, Any]) -> str:
    """Starlette's get_route_path: the path without the root path."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root + "/") else path


class Route:
    """A route of Starlette, or of FastAPI."""

    def __init__(self, path: str, methods: Tuple[str, ...] = ("GET",)) -> None:
        self.path = path
        self.methods = methods
        self._pattern = _pattern(path, "$")

    def matches(self, scope: Dict[str, Any]) -> Found:
        match = self._pattern.match(_path_below(scope))
        if match is None:
            return NONE, {}
        params = {**scope.get("path_params", {}), **match.groupdict()}
        return (FULL if scope["method"] in self.methods else PARTIAL), {"path_params": params}


class Mount:
    """A mount of Starlette 1.x: it moves root_path on and leaves the path alone."""

    def __init__(self, path: str, routes: Optional[List[Any]]) -> None:
        self.path = path
        self.routes = routes
        self._pattern = _pattern(path, "(?=/)")

    def matches(self, scope: Dict[str, Any]) -> Found:
        match = self._pattern.match(_path_below(scope))
        if match is None:
            return NONE, {}
        root = scope.get("root_path", "")
        child = {"app_root_path": scope.get("app_root_path", root), "root_path": root + match.group(0)}
        return FULL, {**child, "path_params": {**scope.get("path_params", {}), **match.groupdict()}}


class Context(Route):
    """FastAPI's effective route context: a route with the path that its router was included under."""

    def __init__(self, prefix: str, route: Any) -> None:
        super().__init__(prefix + route.path, getattr(route, "methods", ()))
        self.original_route = route
        self.starlette_route = None if isinstance(route, Route) else Mount(self.path, route.routes)


class IncludedRouter:
    """FastAPI's included router: a route without a path."""

    def __init__(self, *contexts: Context) -> None:
        self._contexts = contexts

    def matches(self, scope: Dict[str, Any]) -> Found:
        found = [context.matches(scope)[0] for context in self._contexts]
        return max(found, key=lambda match: match.value), {}

    def effective_route_contexts(self) -> Iterator[Context]:
        return iter(self._contexts)


def scope_for(path: str, routes: List[Any], **more: Any) -> Dict[str, Any]:
    router = SimpleNamespace(routes=routes)
    return {"type": "http", "method": "GET", "path": path, "root_path": "", "router": router, **more}


class IncludedRouters(unittest.TestCase):
    """FastAPI from 0.137 on."""

    def setUp(self) -> None:
        self.route = Route("/{id}")
        self.users, self.teams = Context("/users", self.route), Context("/teams/{team}", self.route)
        self.routes: List[Any] = [IncludedRouter(self.users, self.teams)]

    def test_a_route_has_the_prefix_it_was_reached_by(self) -> None:
        for context, path, want in (
            (self.users, "/users/7", "/users/{id}"),
            (self.teams, "/teams/red/7", "/teams/{team}/{id}"),
        ):
            left = {"route": self.route, "fastapi": {"effective_route_context": context}}
            self.assertEqual(template_of(scope_for(path, self.routes, **left), path), want)

    def test_a_route_that_is_told_with_its_full_path_is_taken_as_it_is(self) -> None:
        # The form proposed for a later version: scope["route"] is the context itself.
        left = {"route": self.teams, "fastapi": {"effective_route_context": self.teams}}
        self.assertEqual(template_of(scope_for("/teams/red/7", self.routes, **left), "/teams/red/7"), "/teams/{team}/{id}")

    def test_a_request_answered_before_routing_is_named_all_the_same(self) -> None:
        scope = scope_for("/teams/red/7", [])
        scope["app"] = SimpleNamespace(router=SimpleNamespace(routes=self.routes))
        del scope["router"]
        self.assertEqual(template_of(scope, "/teams/red/7"), "/teams/{team}/{id}")

    def test_a_method_that_is_not_allowed_has_the_routes_name(self) -> None:
        scope = scope_for("/teams/red/7", self.routes, method="DELETE")
        self.assertEqual(template_of(scope, "/teams/red/7"), "/teams/{team}/{id}")

    def test_a_path_without_a_route_has_no_template(self) -> None:
        self.assertIsNone(template_of(scope_for("/nowhere", self.routes), "/nowhere"))

    def test_an_app_mounted_in_a_router_keeps_its_own_routes_names(self) -> None:
        item = Route("/items/{item}")
        mount = Context("/v1", Mount("/shops/{shop}", [item]))
        # The context of the mount stays in the scope; the route is the mounted app's.
        left = {"route": item, "fastapi": {"effective_route_context": mount}, "path_params": {"shop": "a", "item": "4"}}
        left.update(app_root_path="", root_path="/v1/shops/a")
        scope = scope_for("/v1/shops/a/items/4", [IncludedRouter(mount)], **left)
        self.assertEqual(template_of(scope, "/v1/shops/a/items/4"), "/v1/shops/{shop}/items/{item}")

    def test_files_of_a_frontend_are_one_endpoint(self) -> None:
        for root, path in (("", "/ui/a/b.js"), ("/proxy", "/proxy/ui/a/b.js")):
            scope = scope_for(path, [], root_path=root, fastapi={"frontend_path": "a/b.js"})
            self.assertEqual(template_of(scope, path), "/ui/{path}")


class Mounts(unittest.TestCase):
    def test_the_mounts_template_goes_in_front(self) -> None:
        item = Route("/items/{item}")
        routes = [Mount("/shops/{shop}", [Mount("/items", [item])])]
        for root in ("", "/proxy"):
            path = root + "/shops/items/items/items/4"
            left = {"path_params": {"shop": "items", "item": "4"}, "app_root_path": root}
            left["root_path"] = root + "/shops/items/items"
            with self.subTest(root):
                # FastAPI tells the route, Starlette does not.
                for route in ({"route": item}, {}):
                    scope = scope_for(path, routes, **left, **route)
                    self.assertEqual(template_of(scope, path), "/shops/{shop}/items/items/{item}")

    def test_a_mount_that_hides_its_routes_is_named_by_its_parameters(self) -> None:
        left = {"app_root_path": "", "root_path": "/wrapped/wrapped", "path_params": {"name": "wrapped"}}
        left["route"] = Route("/items/{item}")
        inner = [Mount("/wrapped", [])]
        scope = scope_for("/wrapped/wrapped/items/4", inner, **left)
        self.assertEqual(template_of(scope, "/wrapped/wrapped/items/4"), "/wrapped/{name}/items/{item}")

    def test_another_apps_paths_below_a_mount_are_one_endpoint(self) -> None:
        scope = scope_for("/static/a.js", [Mount("/static", None)], app_root_path="", root_path="/static")
        self.assertEqual(template_of(scope, "/static/a.js"), "/static/{path}")

    def test_mounts_that_contain_themselves_end(self) -> None:
        loop = Mount("/a", [])
        loop.routes = [loop]
        path = "/a" * 50 + "/x"
        self.assertIsNone(template_of(scope_for(path, [loop]), path))

    def test_without_a_router_there_is_no_template(self) -> None:
        self.assertIsNone(template_of({"type": "http", "path": "/x", "method": "GET"}, "/x"))


if __name__ == "__main__":
    unittest.main()
