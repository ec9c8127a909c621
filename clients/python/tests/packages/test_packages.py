"""The wheel and the source distribution: built, installed into an environment of their own, imported and used."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import List

from ..fake_ingest import FakeIngest

CLIENT = Path(__file__).resolve().parents[2]
VERSION = "7.8.9"
USE = (
    "import importlib.metadata, sys, lakepulse, lakepulse.streamlit, lakepulse.gradio, lakepulse.shiny\n"
    "assert lakepulse.__version__ == importlib.metadata.version('lakepulse') == sys.argv[1], lakepulse.__version__\n"
    "client = lakepulse.Client(url=sys.argv[2], app_name='a', journal='')\n"
    "client.record(endpoint='/x', method='GET', status_code=200, response_time_ms=1)\n"
    "assert client.close(20)\n"
    "print(lakepulse.__file__)\n"
)


def run(*command: str, **more: str) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, capture_output=True, text=True, env={**env, **more})
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


class Packages(unittest.TestCase):
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.build(cls.folder / "dist")

    @staticmethod
    def build(directory: Path, *more: str) -> None:
        run(sys.executable, str(CLIENT / "build-packages"), str(directory), *(more or ("--version", VERSION)))

    @property
    def wheel(self) -> Path:
        return self.folder / "dist" / f"lakepulse-{VERSION}-py3-none-any.whl"

    @property
    def source(self) -> Path:
        return self.folder / "dist" / f"lakepulse-{VERSION}.tar.gz"

    def test_the_wheel_is_installed_by_pip_and_used(self) -> None:
        environment = self.folder / "venv"
        try:
            run(sys.executable, "-m", "venv", str(environment))
        except AssertionError as error:
            self.fail(f"{error}\nThis test needs venv with pip (Debian: apt-get install python3-venv)")
        python = str(environment / "bin" / "python")
        run(python, "-m", "pip", "install", "--no-index", "--disable-pip-version-check", str(self.wheel))
        ingest = FakeIngest()
        self.addCleanup(ingest.close)
        self.assertIn(str(environment), run(python, "-c", USE, VERSION, ingest.url))
        (call,) = ingest.calls
        self.assertEqual(call.headers["user-agent"], f"lakepulse-python/{VERSION}")
        self.assertIn("License: Apache-2.0", run(python, "-m", "pip", "show", "lakepulse").replace("Apache-2.0\n", "Apache-2.0"))

    def test_the_wheel_has_what_it_says(self) -> None:
        with zipfile.ZipFile(self.wheel) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        info = f"lakepulse-{VERSION}.dist-info"
        sources = {f"lakepulse/{path.name}" for path in (CLIENT / "src" / "lakepulse").iterdir() if path.is_file()}
        own = {f"{info}/{name}" for name in ("LICENSE", "METADATA", "WHEEL", "RECORD", "top_level.txt")}
        self.assertEqual(set(files), sources | own)
        self.assertIn("lakepulse/py.typed", files)
        for name, digest, size in csv.reader(io.StringIO(files[f"{info}/RECORD"].decode())):
            if not name.endswith("/RECORD"):
                made = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
                self.assertEqual((digest, int(size)), ("sha256=" + made, len(files[name])))
        said = message_from_bytes(files[f"{info}/METADATA"])
        self.assertEqual((said["Name"], said["Version"], said["Requires-Python"]), ("lakepulse", VERSION, ">=3.9"))
        self.assertIn("Typing :: Typed", said.get_all("Classifier") or [])
        self.assertIn("# lakepulse for Python", str(said.get_payload()))

    def test_the_source_distribution_runs_and_has_all_it_needs(self) -> None:
        with tarfile.open(self.source) as archive:
            names = archive.getnames()
            archive.extractall(self.folder / "source")
        root = self.folder / "source" / f"lakepulse-{VERSION}"
        for name in ("PKG-INFO", "LICENSE", "README.md", "pyproject.toml", "src/lakepulse/py.typed"):
            self.assertIn(f"lakepulse-{VERSION}/{name}", names)
        run(sys.executable, "-c", f"import lakepulse; assert lakepulse.__version__ == '{VERSION}'", PYTHONPATH=str(root / "src"))

    def test_two_builds_are_the_same(self) -> None:
        self.build(self.folder / "again")
        for path in (self.wheel, self.source):
            self.assertEqual(path.read_bytes(), (self.folder / "again" / path.name).read_bytes())

    def test_a_version_that_pip_does_not_know_is_refused(self) -> None:
        for version in ("v1.2.3", "1.2.3-4-gabcdef", "", "1.x"):
            with self.subTest(version), self.assertRaisesRegex(AssertionError, "PEP 440"):
                self.build(self.folder / "refused", "--version", version)

    def test_the_licence_is_the_repositorys(self) -> None:
        self.assertEqual((CLIENT / "LICENSE").read_bytes(), (CLIENT.parents[1] / "LICENSE").read_bytes())


class Types(unittest.TestCase):
    """Annotations are checked by mypy where it is; here, that the public names have them."""

    def test_every_public_function_is_annotated_and_documented(self) -> None:
        missing: List[str] = []
        import lakepulse

        for name in lakepulse.__all__:
            found = getattr(lakepulse, name)
            if callable(found):
                if not found.__doc__:
                    missing.append(f"{name}: no documentation")
                function = found.__init__ if isinstance(found, type) else found
                if "return" not in function.__annotations__:
                    missing.append(f"{name}: not annotated")
        self.assertEqual(missing, [])
