"""The snippets of the documentation, run as they stand: each sends what its section says.

FastAPI and Flask are real. Streamlit, Gradio, Dash, Shiny and databricks.sdk are doubles of what the snippets and the
client use of them.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Dict, List
from unittest import mock

from flask import Flask, request

import lakepulse
from lakepulse import _ending
from lakepulse._options import _ENVIRONMENT, Options

from ..processes import ProcessCase
from ..unit import test_gradio, test_shiny, test_streamlit
from ..unit.test_wsgi import environ_for
from .serving import Site, Uvicorn, Wsgiref, flush

ROOT = Path(__file__).resolve().parents[4]
GUIDE = (ROOT / "docs" / "clients" / "python.md").read_text("utf-8")
README = (ROOT / "clients" / "python" / "README.md").read_text("utf-8")
EVENTS = "/api/v1/metrics/usage-events"


def snippets(text: str, language: str) -> Dict[str, str]:
    """Return the code blocks of a language by the heading they stand under."""
    found: Dict[str, str] = {}
    for part in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]:
        heading = part.split("\n", 1)[0]
        for n, code in enumerate(re.findall(rf"^```{language}\n(.*?)^```", part, re.DOTALL | re.MULTILINE)):
            found[heading + (f" {n + 1}" if n else "")] = code
    return found


PYTHON = snippets(GUIDE, "python")


def module(name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(members)
    return made


class Snippets(ProcessCase):
    def setUp(self) -> None:
        super().setUp()
        self.environ = dict(re.findall(r"^export (\w+)=(\S+)", snippets(GUIDE, "sh")["Where it sends"], re.MULTILINE))
        self.environ.update(LAKEPULSE_URL=self.ingest.url, LAKEPULSE_JOURNAL="")
        self.patch(mock.patch.dict(os.environ, self.environ))
        for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
            del os.environ[name]
        before = set(_ending._clients)
        self.addCleanup(lambda: [client.close(0.0) for client in set(_ending._clients) - before])

    def patch(self, patch: Any) -> None:
        patch.start()
        self.addCleanup(patch.stop)

    def run_snippet(self, heading: str, code: str = "", **modules: ModuleType) -> Dict[str, Any]:
        """Run a snippet with modules of these names (``__`` for a dot), and return what it defines."""
        self.patch(mock.patch.dict(sys.modules, {name.replace("__", "."): made for name, made in modules.items()}))
        names: Dict[str, Any] = {"__name__": "main"}
        exec(compile(code or PYTHON[heading], heading, "exec"), names)
        return names

    def serve(self, app: Any) -> Site:
        site: Site = Wsgiref(app) if isinstance(app, Flask) else Uvicorn(app)
        self.addCleanup(site.close)
        return site

    def stored(self) -> List[Dict[str, Any]]:
        for client in list(_ending._clients):
            flush(client)
        return self.ingest.performance()

    def endpoints(self) -> List[str]:
        return [event["endpoint"] for event in self.stored()]

    def events(self) -> List[Any]:
        self.stored()
        return [(event["event_type"], event["user_id"], event["app"]) for event in self.ingest.usage()]

    def test_every_snippet_is_run_by_a_test(self) -> None:
        run = {"Where it sends", "FastAPI and Starlette", "Flask", "Any WSGI app", "Dash", "Streamlit", "Gradio"}
        run |= {"Shiny for Python", "From anywhere inside a request", "The client"}
        self.assertEqual(set(PYTHON), run)
        self.assertEqual(len(snippets(README, "python")), 1)

    def test_fastapi_and_the_page_with_the_tracker_as_pasted(self) -> None:
        app = self.run_snippet("FastAPI and Starlette")["app"]
        (self.folder / "lakepulse.js").write_text("tracker")
        here = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, here)
        site = self.serve(app)
        self.assertIn(b'src="/lakepulse.js"', site.ask("GET", "/").body)
        self.assertEqual(site.ask("GET", "/lakepulse.js").body, b"tracker")
        self.assertEqual(site.ask("GET", "/items/7").status, 200)
        # As the tracker of a page on this site posts: text/plain, with the site's Origin.
        batch = json.dumps({"events": [{"event_type": "page_view", "page_name": "/"}]}).encode()
        own = {"Origin": f"http://127.0.0.1:{site.port}", "Content-Type": "text/plain"}
        self.assertEqual(site.ask("POST", EVENTS, batch, own).status, 202)
        self.assertEqual(site.ask("POST", EVENTS, batch, {**own, "Origin": "http://evil.example"}).status, 403)
        self.assertEqual(self.events(), [("page_view", "me@example.com", "shop")])
        self.assertEqual(self.endpoints(), ["/", "/lakepulse.js", "/items/{item_id}"])

    def test_flask(self) -> None:
        site = self.serve(self.run_snippet("Flask")["app"])
        self.assertEqual(site.ask("GET", "/items/7").status, 200)
        self.assertEqual(self.endpoints(), ["/items/{item_id}"])

    def test_any_wsgi_app(self) -> None:
        application = self.run_snippet("Any WSGI app")["application"]
        environ = environ_for("/orders/7", **{"wsgi.input": io.BytesIO()})
        self.assertEqual(list(application(environ, lambda *a: lambda data: None)), [b"hello"])
        self.assertEqual(self.endpoints(), ["/orders/{id}"])

    def test_dash(self) -> None:
        def dash(name: str) -> Any:
            server = Flask(name)
            server.add_url_rule("/_dash-update-component", view_func=lambda: request.get_json(), methods=["POST"])
            return SimpleNamespace(server=server)

        site = self.serve(self.run_snippet("Dash", dash=module("dash", Dash=dash))["app"].server)
        body = json.dumps({"output": "graph.figure"}).encode()
        site.ask("POST", "/_dash-update-component", body, {"Content-Type": "application/json"})
        self.assertEqual(self.endpoints(), ["/_dash-update-component/graph.figure"])

    def test_streamlit(self) -> None:
        runners = module(
            "streamlit.runtime.scriptrunner",
            ScriptRunner=type("ScriptRunner", (test_streamlit.ScriptRunner,), {}),
            get_script_run_ctx=lambda suppress_warning: test_streamlit._thread.context,
        )
        streamlit = module("streamlit", title=lambda text: None, slider=lambda *a, **named: 7)
        streamlit.context = SimpleNamespace(headers={})
        self.patch(mock.patch("lakepulse.streamlit._measuring", None))
        session = test_streamlit.Session()
        for widgets in ({"$$ID-0f-rows": 3}, {"$$ID-0f-rows": 7}):
            script = lambda: self.run_snippet(  # noqa: E731
                "Streamlit", streamlit=streamlit, streamlit__runtime=module("streamlit.runtime"),
                streamlit__runtime__scriptrunner=runners,
            )
            runners.ScriptRunner(session).run(script, widgets=widgets)
        self.assertEqual(self.endpoints(), ["/", "/"])
        self.assertEqual([kind for kind, _, _ in self.events()], ["page_view", "widget_changed"])

    def test_gradio(self) -> None:
        def interface(function: Any, inputs: str, outputs: str, api_name: str) -> Any:
            demo = test_gradio.Blocks(lambda: {"data": [function("jo")]})
            demo.fns[0].api_name = api_name
            return demo

        middleware = module("starlette.middleware", Middleware=lambda kind, **options: kind)
        gradio = module("gradio", Interface=interface)
        demo = self.run_snippet("Gradio", gradio=gradio, starlette__middleware=middleware)["demo"]
        self.assertEqual(demo.launched["app_kwargs"]["middleware"], [lakepulse.LakepulseMiddleware])
        asyncio.run(demo._queue.process_events([test_gradio.Event(demo.fns[0], {})]))
        self.assertEqual(self.endpoints(), ["/gradio/queue/greet", "/gradio/run/greet"])
        self.assertEqual(self.events(), [("model_invoked", "me@example.com", "shop")])

    def test_shiny(self) -> None:
        starlette = SimpleNamespace(add_middleware=lambda kind, **options: None)
        ui = SimpleNamespace(page_fluid=lambda *a: a, input_slider=lambda *a: a)
        make = lambda page, server: SimpleNamespace(starlette_app=starlette, server=lambda *a: None)  # noqa: E731
        app = self.run_snippet("Shiny for Python", shiny=module("shiny", App=make, ui=ui))["app"]
        session = test_shiny.Session(app, {})
        asyncio.run(session.init())
        asyncio.run(session.update({"rows": 3}))
        self.assertEqual(self.endpoints(), ["/shiny/start", "/shiny/update/rows"])
        self.assertEqual([kind for kind, _, _ in self.events()], ["page_view", "widget_changed"])

    def test_from_anywhere_inside_a_request(self) -> None:
        report = self.run_snippet("From anywhere inside a request")["report"]
        app = Flask("shop")
        lakepulse.init_flask(app)
        app.add_url_rule("/x/<name>", view_func=lambda name: report(name) or "ok")
        self.assertEqual(self.serve(app).ask("GET", "/x/7").status, 200)
        (event,) = self.stored()
        self.assertEqual((event["endpoint"], event["user_id"]), ("/reports/{name}", "jo@example.com"))
        self.assertEqual(self.events(), [("query_executed", "jo@example.com", "shop")])

    def test_the_platforms_token(self) -> None:
        token = SimpleNamespace(oauth_token=lambda: SimpleNamespace(access_token="t0ken"))
        workspace = module("databricks.sdk", WorkspaceClient=lambda: SimpleNamespace(config=token))
        del os.environ["LAKEPULSE_DEV_USER"]
        made = {"databricks": module("databricks"), "databricks__sdk": workspace}
        site = self.serve(self.run_snippet("Where it sends", **made)["app"])
        site.ask("GET", "/nowhere")
        self.stored()
        self.assertEqual(self.ingest.calls[0].headers["authorization"], "Bearer t0ken")

    def test_the_client(self) -> None:
        code = PYTHON["The client"].replace("http://127.0.0.1:8080", self.ingest.url)
        self.run_snippet("The client", code)
        self.assertEqual(self.endpoints(), ["/jobs/{id}"])
        self.assertEqual(self.events(), [("query_executed", "jo@example.com", "shop")])

    def test_the_packages_own_page(self) -> None:
        (code,) = snippets(README, "python").values()
        site = self.serve(self.run_snippet("README", code.replace("http://127.0.0.1:8080", self.ingest.url))["app"])
        site.ask("GET", "/nowhere")
        self.assertEqual([event["app"] for event in self.stored()], ["orders"])


class Tables(ProcessCase):
    def test_every_option_and_its_variable_is_documented(self) -> None:
        part = GUIDE[GUIDE.index("## Options") : GUIDE.index("Of the lines above alone")]
        rows = [line.split("|")[1:3] for line in part.splitlines() if line.startswith("| `")]
        documented = {name: re.findall(r"LAKEPULSE_\w+", variable) for names, variable in rows for name in re.findall(r"`(\w+)`", names)}
        self.assertEqual(set(documented), {field.name for field in fields(Options)})
        self.assertEqual({name: found[0] for name, found in documented.items() if found}, _ENVIRONMENT)

    def test_every_link_leads_somewhere(self) -> None:
        headings = re.findall(r"^#+ (.*)$", GUIDE, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        for target in re.findall(r"\]\(([^)]*)\)", GUIDE):
            file, _, anchor = target.partition("#")
            if file:
                self.assertTrue((ROOT / "docs" / "clients" / file).exists(), target)
            else:
                self.assertIn(anchor, anchors)
