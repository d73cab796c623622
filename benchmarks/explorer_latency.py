"""Seconds from a click on an atom to its highlighted explanation, in a real JupyterLab and Chromium.

Measured from outside, with the mouse: from the click until the explanation's atoms and edges are drawn in the 3D view.

- ``click_to_highlight_s``: the default method, atoms that were not explained before;
- ``cached_click_s``: atoms that were;
- ``hurried_click_s``: the same without a pause, while the figures of the click before are still being drawn;
- ``amortised_click_s``: PGExplainer, new atoms; the explorer trains it at the first click, which is not counted;
- ``first_picture_s``: from Run All to the structure of 3 000 atoms;
- ``first_picture_24000_s``, ``first_picture_100000_s``: the same for the sample repeated to 24 000 and 108 000 atoms;
- with ``--million`` alone the sample repeated to 1 029 000 atoms: ``first_picture_1m_s``; from there until an atom
  is explained (``explained_1m_s``) and until all are predicted (``predicted_1m_s``); clicks before that
  (``click_1m_s``) and after (``click_predicted_1m_s``); and the kernel's memory before and after (``start_1m_gb``,
  ``peak_1m_gb``);
- ``busy_…``: the clicks and the first picture again while another program keeps one core busy;
- ``message_growth``: bytes from the kernel in the last ten of thirty clicks over those in the first ten, minus one.

Before every other click the mouse rests for half a second: nobody reads an answer faster. The kernel, the server and
the browser, which draws in software, share the machine: run it when nothing else does. Figures are written as they
come, beside those that the file holds of other parts. Run ``python benchmarks/explorer_latency.py``, or one part with
``--parts small``, ``busy`` (what it is compared with is measured too) or ``large``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json

from symgnn_explain.explain import METHODS

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from lab import CHROMIUM_FLAGS, SCENE, STAGE, ExplorerPage, chromium_path, running_lab  # noqa: E402

NOTEBOOK = ROOT / "notebooks" / "01_explore.ipynb"
VIEWPORT = {"width": 1500, "height": 1000}
CLICKS = 30
PAUSE = 500
"""Milliseconds between an answer and the next click."""
MOST_PLACES = 100
"""Places in the picture where an atom is looked for."""
GOALS = {
    "click_to_highlight_s": 0.6,
    "cached_click_s": 0.25,
    "amortised_click_s": 0.4,
    "first_picture_s": 7.0,
    "message_growth": 0.2,
    "first_picture_100000_s": 15.0,
    "explained_1m_s": 3.0,
    "click_1m_s": 1.0,
    "click_predicted_1m_s": 1.0,
    "busy_most_times": 2.2,
}
TIMED = ("click_to_highlight_s", "cached_click_s", "hurried_click_s", "amortised_click_s", "first_picture_s")
PARTS = ("small", "busy", "large")


LARGE = {"first_picture_24000_s": (2, 2, 2), "first_picture_100000_s": (3, 3, 4)}
"""By which the cell of the sample is repeated."""
MILLION = (7, 7, 7)
LONGEST = 420_000
"""Milliseconds that explaining one of a million atoms, or predicting all, may take."""
EXPLAINED = ".symgnn-structure[data-explained]:not([data-explained=''])"
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
REPEATED = """import numpy as np
from symgnn_explain.structure.glass import Glass
def repeated(glass, cells):
    shifts = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = (glass.positions + shifts @ glass.cell).reshape(-1, 3)
    return Glass(positions, np.tile(glass.numbers, len(shifts)), glass.cell * np.array(cells)[:, None], glass.pbc)
"""
Place = tuple[float, float, int]
"""Where on the page an atom is seen, and which."""
IN_SIGHT = f"""([x, y, atom]) => {{
  const canvas = {STAGE}.viewer.renderer.domElement.getBoundingClientRect();
  return {SCENE}.atomAt(x - canvas.x, canvas.bottom - y) === atom;
}}"""
BUSY = "while True: pass"


def clicked(explorer: ExplorerPage, place: Place, pause: int = PAUSE) -> float:
    """Click an atom after a pause (ms); return the seconds until its explanation is drawn."""
    x, y, atom = place
    explorer.page.wait_for_timeout(pause)
    started = time.perf_counter()
    explorer.page.mouse.click(x, y)
    explorer.wait_explained(atom)
    return time.perf_counter() - started


class Clicks:
    """Clicks on atoms that were explained before, the longest ago first, and on others."""

    def __init__(self, explorer: ExplorerPage) -> None:
        self._explorer = explorer
        self._seen: list[int] = []
        self._unmark()
        self._places = explorer.visible_atoms(MOST_PLACES)

    def new(self) -> float:
        """Click an atom that was not explained before; return the seconds."""
        return self._click([place for place in self._places if place[2] not in self._seen])

    def known(self, pause: int = PAUSE) -> float:
        """Click an atom that was explained before, but not as the last; return the seconds."""
        before = [place for place in self._places if place[2] in self._seen[:-1]]
        return self._click(sorted(before, key=lambda place: self._seen.index(place[2])), pause)

    def _click(self, wanted: list[Place], pause: int = PAUSE) -> float:
        place = next(self._in_sight(wanted), None)
        if place is None:
            self._unmark()
            place = next(self._in_sight(wanted), None)
        if place is None:
            raise SystemExit(f"after {len(self._seen)} clicks none of {len(wanted)} atoms is in sight")
        self._seen = [*(atom for atom in self._seen if atom != place[2]), place[2]]
        return clicked(self._explorer, place, pause)

    def _unmark(self) -> None:
        """Select nothing: marked atoms stand in front of the others."""
        self._explorer.kernel("explorer.session.selected.clear_selection()")
        self._explorer.page.wait_for_selector(".symgnn-structure[data-explained='']", state="attached")
        self._explorer.page.wait_for_timeout(PAUSE)

    def _in_sight(self, wanted: list[Place]) -> Iterator[Place]:
        return (place for place in wanted if self._explorer.page.evaluate(IN_SIGHT, place))


def measure(explorer: ExplorerPage, rounds: int, further: int) -> dict[str, Any]:
    """Run the notebook and click; with PGExplainer ``further`` times."""
    first_picture = explorer.run_all()
    explorer.wait_example()
    clicks = Clicks(explorer)
    clicks.new()  # compiles and loads what every later click finds ready
    fresh = [clicks.new() for _ in range(rounds)]
    cached = [clicks.known() for _ in range(rounds)]
    hurried = [clicks.known(pause=0) for _ in range(rounds)]
    explorer.page.locator(".symgnn-explorer select").first.select_option(label=METHODS["pg_explainer"].label)
    training = clicks.new()
    amortised, sizes = [], []
    for _ in range(further):
        before = len(explorer.received)
        amortised.append(clicks.new())
        explorer.page.wait_for_timeout(PAUSE)  # figures and tables follow the highlight
        sizes.append(sum(explorer.received[before:]))
    return {
        "click_to_highlight_s": float(np.median(fresh)),
        "cached_click_s": float(np.median(cached)),
        "hurried_click_s": float(np.median(hurried)),
        "amortised_click_s": float(np.median(amortised)),
        "first_picture_s": first_picture,
        "training_s": training,
        "message_growth": float(np.mean(sizes[-10:]) / np.mean(sizes[:10]) - 1),
        "clicks": {"fresh": fresh, "cached": cached, "hurried": hurried, "amortised": amortised, "bytes": sizes},
        "complaints": explorer.complaints,
    }


def in_a_page(chromium: Any, lab: Any, rounds: int, further: int = CLICKS) -> dict[str, Any]:
    """Measure in a page of its own."""
    explorer = ExplorerPage(chromium.new_context(viewport=VIEWPORT).new_page())
    explorer.open(lab.address(NOTEBOOK.name))
    figures = measure(explorer, rounds, further)
    explorer.close()
    return figures


def repeated_sample(chromium: Any, lab: Any, cells: tuple[int, int, int]) -> tuple[ExplorerPage, float]:
    """Run the notebook on the sample repeated; return its page, and the seconds until it was drawn."""
    text = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    made = "GlassExplorer(datasets.sample(), Predictor.load())"
    for cell in text["cells"]:
        source = "".join(cell["source"])
        if made in source:
            larger = source.replace("datasets.sample()", f"repeated(datasets.sample(), {cells})", 1)
            cell["source"] = REPEATED + larger
    name = f"large_{'_'.join(map(str, cells))}.ipynb"
    (lab.root / name).write_text(json.dumps(text), encoding="utf-8")
    explorer = ExplorerPage(chromium.new_context(viewport=VIEWPORT).new_page())
    explorer.open(lab.address(name))
    return explorer, explorer.run_all()


def first_picture_of(chromium: Any, lab: Any, cells: tuple[int, int, int]) -> float:
    """Return the seconds until the sample repeated is drawn."""
    explorer, seconds = repeated_sample(chromium, lab, cells)
    explorer.close()
    return seconds


def of_a_million(chromium: Any, lab: Any) -> Iterator[dict[str, float]]:
    """Open a million atoms; click while they are predicted, and afterwards. Yields figures as they come."""
    explorer, first_picture = repeated_sample(chromium, lab, MILLION)
    started = time.perf_counter()
    explorer.page.wait_for_selector(EXPLAINED, timeout=LONGEST)
    yield {"first_picture_1m_s": first_picture, "explained_1m_s": time.perf_counter() - started}
    start = float(explorer.kernel(PEAK))
    explorer.wait_example()
    seen = set[int]()

    def clicks() -> float:
        times = []
        for _ in range(3):  # other atoms are drawn around each that is selected
            place = next(place for place in explorer.visible_atoms(len(seen) + 20) if place[2] not in seen)
            seen.add(place[2])
            times.append(clicked(explorer, place))
        return float(np.median(times))

    yield {"click_1m_s": clicks(), "start_1m_gb": start}
    while explorer.kernel("print(explorer.session.structure.predicted)").strip() != "True":
        if time.perf_counter() - started > LONGEST / 1000:
            raise SystemExit(f"after {LONGEST / 1000:.0f} s a million atoms are not predicted")
        time.sleep(1.0)
    yield {"predicted_1m_s": time.perf_counter() - started}
    yield {"click_predicted_1m_s": clicks(), "peak_1m_gb": float(explorer.kernel(PEAK))}
    explorer.close()


def while_busy(chromium: Any, lab: Any, rounds: int, quiet: dict[str, Any]) -> dict[str, float]:
    """Measure again while another program keeps one core busy; how many times as long it takes at most, too."""
    with subprocess.Popen([sys.executable, "-c", BUSY]) as other:  # noqa: S603 - this Python
        try:
            busy = in_a_page(chromium, lab, rounds, further=rounds)
        finally:
            other.kill()
    return {f"busy_{name}": busy[name] for name in TIMED} | {
        "busy_most_times": max(busy[name] / quiet[name] for name in TIMED)
    }


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=8)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured; all by default")
    parser.add_argument("--million", action="store_true", help="measure a glass of a million atoms, and nothing else")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    browser = chromium_path()
    if browser is None:
        raise SystemExit("no browser: set CHROME, or put Chromium on the PATH")
    parts, began = () if arguments.million else arguments.parts, time.perf_counter()
    kept = arguments.json is not None and arguments.json.exists()
    figures: dict[str, Any] = json.loads(arguments.json.read_text(encoding="utf-8")) if kept else {}

    def add(found: dict[str, Any]) -> None:
        figures.update(found)
        figures["machine"], figures["goals"] = machine(), goals_of(figures)
        for name in (name for name, value in found.items() if isinstance(value, float)):
            goal = figures["goals"].get(name)
            print(f"{name:26}{found[name]:>8.2f}" + ("" if goal is None else f"   (goal {goal:.2f})"), flush=True)
        write_json(arguments.json, figures)

    with tempfile.TemporaryDirectory(prefix="symgnn-latency-") as folder:
        home, root = Path(folder) / "home", Path(folder) / "root"
        home.mkdir()
        root.mkdir()
        shutil.copy(NOTEBOOK, root / NOTEBOOK.name)
        with running_lab(home, root) as lab, sync_playwright() as driver:
            chromium = driver.chromium.launch(executable_path=browser, headless=True, args=CHROMIUM_FLAGS)
            if "small" in parts or "busy" in parts:
                add(in_a_page(chromium, lab, arguments.rounds))
            if "busy" in parts:
                add(while_busy(chromium, lab, arguments.rounds, figures))
            if "large" in parts:
                for name, cells in LARGE.items():
                    add({name: first_picture_of(chromium, lab, cells)})
            if arguments.million:
                for found in of_a_million(chromium, lab):
                    add(found)
            chromium.close()
    print(f"medians of {arguments.rounds} clicks, software WebGL; {time.perf_counter() - began:.0f} s; {machine()}")


def goals_of(figures: dict[str, Any]) -> dict[str, float]:
    """Say of each time what it is to be at most; of some that is a multiple of another."""
    goals: dict[str, float] = {name: goal for name, goal in GOALS.items() if name in figures}
    if "first_picture_24000_s" in figures and "first_picture_s" in figures:
        goals["first_picture_24000_s"] = round(2 * figures["first_picture_s"], 2)
    for name in TIMED:
        if f"busy_{name}" in figures:
            goals[f"busy_{name}"] = round(GOALS["busy_most_times"] * figures[name], 2)
    return goals


if __name__ == "__main__":
    main()
