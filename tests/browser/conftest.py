"""A real JupyterLab in a real Chromium, with configuration folders of their own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Software WebGL and no sandbox: what a browser needs in a container without a graphics card.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
START_TIMEOUT = 90.0


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab server."""

    root: Path
    url: str
    token: str

    def address(self, notebook: str) -> str:
        """Where a notebook opens in a workspace of its own."""
        return f"{self.url}/lab/workspaces/w{secrets.token_hex(3)}/tree/{notebook}?token={self.token}&reset"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium or Chrome: the one that CHROME names, or one on the PATH."""
    named = os.environ.get("CHROME")
    candidates = [named] if named else [shutil.which(name) for name in CHROMIUM_NAMES]
    found = next((path for path in candidates if path and Path(path).exists()), None)
    if found is None:
        pytest.skip(f"no browser: set CHROME, or put one of {', '.join(CHROMIUM_NAMES)} on the PATH")
    return found


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab server of this environment, on a free port, that knows nothing of the user's configuration."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: pip install 'symgnn-explain[lab]'")
    home, root = tmp_path_factory.mktemp("lab-home"), tmp_path_factory.mktemp("lab-root")
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True"),
        *("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"),
    ]
    log = home / "lab.log"
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as stream:
        server = subprocess.Popen(command, env=environment, cwd=root, stdout=stream, stderr=subprocess.STDOUT)
        try:
            _wait_until_up(server, f"{url}/api/status?token={token}", log)
            yield Lab(root, url, token)
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_until_up(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.1)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A headless browser with software WebGL."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install 'symgnn-explain[dev]'"
    )
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, headless=True, args=CHROMIUM_FLAGS)
        try:
            yield running
        finally:
            running.close()
