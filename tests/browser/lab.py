"""A real JupyterLab in a real Chromium: started, driven and watched; for tests and benchmarks."""

from __future__ import annotations

import os
import re
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


def chromium_path() -> str | None:
    """Path of a Chromium or Chrome: the one that CHROME names, or one on the PATH."""
    named = os.environ.get("CHROME")
    candidates = [named] if named else [shutil.which(name) for name in CHROMIUM_NAMES]
    return next((path for path in candidates if path and Path(path).exists()), None)


@contextmanager
def running_lab(home: Path, root: Path, *more: str) -> Iterator[Lab]:
    """Run a JupyterLab server of this environment, on a free port, that knows nothing of the user's configuration.

    ``more`` are further options of it.
    """
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
        "XDG_CACHE_HOME": str(home / "cache"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True"),
        *("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"),
        *more,
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


LONG, SHORT = 180_000, 60_000  # ms: software WebGL on a busy machine

KERNEL_IS_IDLE = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
STRUCTURE = "document.querySelector('.symgnn-structure')"
SCENE = f"{STRUCTURE}.glassScene"
STAGE = f"{SCENE}.stage"
FAILURE = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']"
# Places on the page where an atom is seen, near the middle of the picture, and which: at most so many different ones.
_VISIBLE_ATOMS = """([count, which]) => {
  const scene = document.querySelectorAll('.symgnn-structure')[which].glassScene;
  const stage = scene.stage, found = new Map();
  const canvas = stage.viewer.renderer.domElement.getBoundingClientRect();
  const steps = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8, -8].map((step) => 0.5 + 0.03 * step);
  for (const fromLeft of steps) for (const fromTop of steps) {
    if (found.size >= count) break;
    // Whole pixels, as mice have, and well inside of what is seen there.
    const x = Math.round(canvas.x + fromLeft * canvas.width), y = Math.round(canvas.y + fromTop * canvas.height);
    const under = [[0, 0], [2, 0], [-2, 0], [0, 2], [0, -2]].map(
      ([right, down]) => scene.atomAt(x + right - canvas.x, canvas.bottom - y - down));
    const [atom] = under;
    if (atom >= 0 && under.every((other) => other === atom) && !found.has(atom)) found.set(atom, [x, y, atom]);
  }
  return [...found.values()];
}"""


_RUN_IN_KERNEL = """async ([code, longest]) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const said = { text: "", error: "", late: false }, request = kernel.requestExecute({ code });
  request.onIOPub = ({ content }) => {
    if (content.text) said.text += content.text;
    if (content.traceback) said.error += content.traceback.join("\\n");
  };
  const late = new Promise((done) => setTimeout(done, longest, "late"));
  if (await Promise.race([request.done, late]) === "late") {
    said.late = true;
    said.error = `No answer of the kernel in ${longest / 1000} s; the page takes it to be ${kernel.status}, ` +
      `${kernel.connectionStatus}. It ran: ${code}`;
  }
  return said;
}"""

_WATCH = """import faulthandler, os, signal, tempfile
stacks = tempfile.NamedTemporaryFile("w", suffix=".stacks", delete=False)
faulthandler.register(signal.SIGUSR1, stacks)
print(os.getpid(), stacks.name)"""
"""Lets a kernel write down what its threads are doing when it is asked to."""

_SHOW_ANEW = """from symgnn_widgets.state.session import Session
explorer.show(Session(datasets.sample(), Predictor.load()))
explorer.tabs.open("Neighbourhood")"""


_SHOWN = """() => {
  const parts = document.querySelectorAll('.jp-OutputArea-output, .symgnn-explorer, .symgnn-structure');
  const said = (part) => [part.className, JSON.stringify(part.dataset), part.clientWidth, part.clientHeight];
  return [...parts].map((part) => [...said(part), part.innerText.slice(0, 80)].join(' ')).join('\\n') || 'no output';
}"""
"""What the page shows, for a message."""


_RESTS = """async () => {
  const place = () => JSON.stringify(document.querySelector('.symgnn-structure').getBoundingClientRect());
  for (let before = '', rests = 0; rests < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = place();
    rests = now === before ? rests + 1 : 0;
    before = now;
  }
}"""
"""Waits until the structure has kept its place on the page for half a second: a click goes where an atom was seen."""


_TABS_AROUND = """(title) => {
  const tabs = [...document.querySelectorAll('.symgnn-tabs > .lm-TabBar .lm-TabBar-tab')];
  const around = [];
  for (let tab = tabs.find((tab) => tab.textContent.trim() === title); tab;) {
    around.unshift(tab.textContent.trim());
    const inner = tab.closest('.symgnn-tabs'), outer = inner.parentElement.closest('.symgnn-tabs');
    const place = outer && [...outer.querySelector(':scope > .widget-tab-contents').children].indexOf(inner);
    tab = outer && outer.querySelectorAll(':scope > .lm-TabBar .lm-TabBar-tab')[place];
  }
  return around;
}"""
"""Titles of a tab and of those around it, the outermost first."""


@dataclass
class ExplorerPage:
    """A notebook with an explorer, in a page of its own.

    Parameters
    ----------
    page
        Playwright's page.
    complaints
        Errors of the page and of its console so far.
    received
        Bytes of each message that the kernel has sent so far.
    watched
        Process of the kernel, and the file that it writes the stacks of its threads into.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    watched: str = ""

    def __post_init__(self) -> None:
        self.page.set_default_timeout(SHORT)
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _count(self, frame: bytes | str) -> None:
        self.received.append(len(frame))

    def open(self, address: str) -> None:
        """Open a notebook, and wait for its kernel."""
        self.page.goto(address)
        self.page.wait_for_function(KERNEL_IS_IDLE, timeout=LONG)
        self.watched = self.kernel(_WATCH)

    def run_all(self) -> float:
        """Run all cells; return after how many seconds the structure was drawn."""
        self._mark_old()
        started = time.perf_counter()
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        self._wait_drawn()
        seconds = time.perf_counter() - started
        self._wait_at_rest()
        return seconds

    def start(self) -> None:
        """Show the explorer as the notebook makes it: by running all cells, or anew where it runs already."""
        if self.kernel("print('explorer' in globals())").strip() != "True":
            self.run_all()
        else:
            self._wait_quiet()
            self._mark_old()
            self.kernel(_SHOW_ANEW)
            self._wait_drawn()
            self._wait_at_rest()
        self.wait_example()
        self.complaints.clear()
        self.received.clear()

    def _wait_quiet(self) -> None:
        """Wait until the kernel has said nothing for half a second: what the page still builds is not taken from it."""
        before = -1
        while before < len(self.received):
            before = len(self.received)
            self.page.wait_for_timeout(500)

    def wait_example(self) -> None:
        """Wait until the atom that the explorer begins with is explained; show the whole glass then."""
        self.page.wait_for_selector(".symgnn-structure[data-explained]:not([data-explained=''])", timeout=LONG)
        self.page.wait_for_function(f"() => {STAGE}.tasks.count === 0", timeout=LONG)
        self.page.wait_for_timeout(700)  # the camera moves
        self.page.evaluate(f"() => {SCENE}.reset()")
        self.page.wait_for_timeout(500)

    def _mark_old(self) -> None:
        self.page.evaluate("() => document.querySelectorAll('.symgnn-structure').forEach((old) => old.dataset.old = 1)")

    def _wait_drawn(self) -> None:
        drawn = ".symgnn-structure[data-scene=ready]:not([data-old])"
        before = len(self.received)
        try:
            self.page.wait_for_selector(f"{drawn}, {FAILURE}", timeout=LONG)
        except Exception as error:
            messages = f"{len(self.received) - before} messages came, of {sum(self.received[before:])} bytes"
            shown = self.page.wait_for_function(_SHOWN).json_value()  # fails by itself where the page is stuck
            raise AssertionError(
                f"no structure was drawn in {LONG / 1000:.0f} s; {messages}; errors of the page: {self.complaints}\n"
                f"{shown}\n{self._stacks()}"
            ) from error
        failures = self.page.locator(FAILURE).all_inner_texts()
        assert failures == [], failures
        self.page.wait_for_function(f"() => {STAGE}.tasks.count === 0", timeout=LONG)

    def _wait_at_rest(self) -> None:
        self.page.locator(".symgnn-explorer").evaluate("(explorer) => explorer.scrollIntoView({block: 'start'})")
        self.page.evaluate(_RESTS)

    def wait_still(self) -> None:
        """Wait until all is drawn in the 3D view, and its camera has not moved for 0.4 s."""
        self.page.wait_for_function(f"() => {STAGE}.tasks.count === 0", timeout=LONG)
        seen = None
        while (now := self.page.evaluate(f"() => [...{STAGE}.viewerControls.getOrientation().elements]")) != seen:
            seen = now
            self.page.wait_for_timeout(400)

    def visible_atoms(self, count: int = 1, which: int = 0) -> list[tuple[float, float, int]]:
        """Find places on the page where atoms are seen, in one of its views: x, y, and the index of the atom."""
        self.page.wait_for_function(f"({_VISIBLE_ATOMS})([1, {which}]).length")
        return [(x, y, int(atom)) for x, y, atom in self.page.evaluate(_VISIBLE_ATOMS, [count, which])]

    def click_atom(self) -> int:
        """Click an atom that is seen near the middle of the 3D view; return its index."""
        [(x, y, atom)] = self.visible_atoms()
        self.page.mouse.click(x, y)
        return atom

    def wait_explained(self, atom: int) -> None:
        """Wait until the explanation of an atom is shown, in 3D too."""
        self.page.wait_for_selector(f".symgnn-summary[data-explained='{atom}']", timeout=LONG)
        self.page.wait_for_selector(f".symgnn-structure[data-explained='{atom}']", timeout=LONG)
        self.page.wait_for_function(f"() => {STAGE}.tasks.count === 0", timeout=LONG)

    def open_tab(self, title: str) -> None:
        """Bring a tab of the explorer to the front, and before it those that it is inside of."""
        for around in self.page.evaluate(_TABS_AROUND, title):
            self.page.locator(".symgnn-tabs .lm-TabBar-tab", has_text=re.compile(f"^{re.escape(around)}$")).click()

    def kernel(self, code: str) -> str:
        """Run code in the notebook's kernel, beside its cells; return what it printed."""
        before = len(self.received)
        said = self.page.evaluate(_RUN_IN_KERNEL, [code, LONG])
        if said["late"]:
            said["error"] += f"\n{len(self.received) - before} messages came meanwhile.\n{self._stacks()}"
        assert said["error"] == "", said["error"]
        return str(said["text"])

    def _stacks(self) -> str:
        """What the threads of the kernel are doing."""
        if not self.watched:
            return ""
        process, written = self.watched.split()
        os.kill(int(process), signal.SIGUSR1)
        time.sleep(1)
        return Path(written).read_text()

    def tick_only(self, *names: str) -> None:
        """Tick these of the visible boxes of the tab in front, and no other."""
        for box in self.page.locator(".symgnn-tabs .widget-checkbox:visible").all():
            box.locator("input").set_checked(box.inner_text().strip() in names)

    def picture(self, path: Path) -> None:
        """Take a screenshot."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path))

    def close(self) -> None:
        """Shut the kernel down."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.context.close()
