"""The explorer as a web page without code: it draws, opens a file of one's own, and saves its session."""

from __future__ import annotations

import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ase.io import write

from symgnn_explain.export.session_file import read_session
from symgnn_explain.structure.glass import Glass

from .conftest import COARSE

ROOT = Path(__file__).resolve().parents[2]
READY = ".symgnn-structure[data-scene=ready]"
LONG, SHORT = 180_000, 60_000  # ms: software WebGL on a busy machine


@pytest.fixture
def app(tmp_path: Path) -> Iterator[str]:
    """Address of the app, served as `make app` serves it, from a copy of its notebook."""
    pytest.importorskip("voila", reason="Voilà is not installed: pip install 'symgnn-explain[app]'")
    planned = subprocess.run(["make", "-n", "app"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [command] = [shlex.split(line) for line in planned.splitlines() if "-m voila" in line]
    shutil.copy(ROOT / command[-1], tmp_path / "app.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1", str(tmp_path / "app.ipynb")]
    log = tmp_path / "voila.log"
    with log.open("w") as stream:
        server = subprocess.Popen([sys.executable, *command[1:-1], *options], stdout=stream, stderr=subprocess.STDOUT)
        try:
            wait_until_up(port, log)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_until_up(port: int, log: Path) -> None:
    """Wait for the server's own files: the page itself starts a kernel."""
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/voila/static/missing", timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)


@pytest.mark.browser
@pytest.mark.slow
def test_the_app_shows_the_explorer_and_opens_a_file(
    app: str, browser: Any, tmp_path: Path, random_glass: Callable[..., Glass]
) -> None:
    page = browser.new_page(**COARSE)
    page.set_default_timeout(SHORT)
    try:
        page.goto(app, timeout=LONG)
        page.wait_for_selector(READY, timeout=LONG)
        assert "GlassExplorer" not in page.locator("body").inner_text()  # no code
        assert "Predicted barrier (eV)" in page.locator(".symgnn-colour-bar").first.inner_text()
        picture = ROOT / "out" / "browser" / "app.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(1000)
        page.screenshot(path=str(picture))

        write(tmp_path / "mine.extxyz", random_glass(6).to_ase())
        page.locator(".lm-TabBar-tab", has_text="Export").click()
        page.locator(".lm-TabBar-tab", has_text="Open and save").click()
        with page.expect_file_chooser() as chooser:
            page.locator("button", has_text="Upload").click()
        chooser.value.set_files(tmp_path / "mine.extxyz")
        page.wait_for_selector(".symgnn-note:has-text('Opened mine: 216 atoms')", timeout=LONG)
        page.wait_for_selector(READY, timeout=LONG)
        assert page.locator(".symgnn-structure").count() == 1
        page.locator("input[placeholder^='glass.extxyz']").fill("nowhere.extxyz")
        page.keyboard.press("Tab")
        page.locator("button", has_text="Open").click()
        page.wait_for_selector(".symgnn-error:has-text('nowhere.extxyz is not a file')")
        page.screenshot(path=str(picture.with_name("app_files.png")))
        page.locator("button", has_text="Save session").click()
        with page.expect_download() as download:
            page.locator("a", has_text="download").click()
        assert len(read_session(Path(download.value.path())).glass) == 216
    finally:
        page.close()
