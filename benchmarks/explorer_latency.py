"""Seconds from a click on an atom to its highlighted explanation, in a real JupyterLab and Chromium.

Measured from outside, with the mouse: from the click until the explanation's atoms and edges are drawn in the 3D view.

- ``click_to_highlight_s``: the default method, atoms that were not explained before;
- ``cached_click_s``: atoms that were;
- ``hurried_click_s``: the same without a pause, while the figures of the click before are still being drawn;
- ``amortised_click_s``: PGExplainer, new atoms; the explorer trains it at the first click, which is not counted;
- ``first_picture_s``: from Run All to the coloured structure of 3 000 atoms;
- ``first_picture_24000_s``, ``first_picture_100000_s``: the same for the sample repeated to 24 000 and 108 000 atoms;
- with ``--million`` alone the sample repeated to 1 029 000 atoms: ``first_picture_1m_s``; from there until atoms are
  predicted and the first is explained (``predicted_1m_s``); ``click_1m_s``; and the kernel's memory before and after
  (``start_1m_gb``, ``peak_1m_gb``);
- ``busy_…``: the clicks and the first picture again while another program keeps one core busy;
- ``message_growth``: bytes from the kernel in the last ten of thirty clicks over those in the first ten, minus one.

Before every other click the mouse rests for half a second: nobody reads an answer faster. The kernel, the server and
the browser, which draws in software, share the machine: run it when nothing else does. Run
``python benchmarks/explorer_latency.py``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json

from symgnn_explain.explain import METHODS

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from lab import CHROMIUM_FLAGS, ExplorerPage, chromium_path, running_lab  # noqa: E402

NOTEBOOK = ROOT / "notebooks" / "01_explore.ipynb"
VIEWPORT = {"width": 1500, "height": 1000}
CLICKS = 30
PAUSE = 500
"""Milliseconds between an answer and the next click."""
MOST_PLACES = 81
"""Places in the picture where an atom is looked for."""
GOALS = {
    "click_to_highlight_s": 2.5,
    "cached_click_s": 0.5,
    "amortised_click_s": 0.7,
    "first_picture_s": 10.0,
    "message_growth": 0.2,
}


LARGE = {"first_picture_24000_s": (2, 2, 2), "first_picture_100000_s": (3, 3, 4)}
"""By which the cell of the sample is repeated."""
MILLION = (7, 7, 7)
LONGEST = 3_600_000
"""Milliseconds that predicting a million atoms may take."""
EXPLAINED = ".symgnn-structure[data-explained]:not([data-explained=''])"
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
REPEATED = """import numpy as np
from symgnn_explain.structure.glass import Glass
def repeated(glass, cells):
    shifts = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = (glass.positions + shifts @ glass.cell).reshape(-1, 3)
    return Glass(positions, np.tile(glass.numbers, len(shifts)), glass.cell * np.array(cells)[:, None], glass.pbc)
"""
BUSY = "while True: pass"
MOST_WHEN_BUSY = 2.2
"""Times as long as when nothing else runs."""


def clicked(explorer: ExplorerPage, place: tuple[float, float, int], pause: int = PAUSE) -> float:
    """Click an atom after a pause (ms); return the seconds until its explanation is drawn."""
    x, y, atom = place
    explorer.page.wait_for_timeout(pause)
    started = time.perf_counter()
    explorer.page.mouse.click(x, y)
    explorer.wait_explained(atom)
    return time.perf_counter() - started


def measure(explorer: ExplorerPage, rounds: int) -> dict[str, Any]:
    """Run the notebook and click."""
    first_picture = explorer.run_all()
    explorer.wait_example()
    seen: list[int] = []

    def click_new() -> float:
        # Marked atoms stand in front of the others, so what is where changes with every click.
        place = next((place for place in explorer.visible_atoms(MOST_PLACES) if place[2] not in seen), None)
        if place is None:
            raise SystemExit(f"after {len(seen)} clicks no new atom is in sight")
        seen.append(place[2])
        return clicked(explorer, place)

    click_new()  # compiles and loads what every later click finds ready
    fresh = [click_new() for _ in range(rounds)]

    def click_known(pause: int = PAUSE) -> float:
        known = [place for place in explorer.visible_atoms(MOST_PLACES) if place[2] in seen[:-1]]
        if not known:
            raise SystemExit("no explained atom is in sight")
        seen.append(seen.pop(seen.index(known[0][2])))
        return clicked(explorer, known[0], pause)

    cached = [click_known() for _ in range(rounds)]
    hurried = [click_known(pause=0) for _ in range(rounds)]
    explorer.page.locator(".symgnn-explorer select").first.select_option(label=METHODS["pg_explainer"].label)
    training = click_new()
    amortised, sizes = [], []
    for _ in range(CLICKS):
        before = len(explorer.received)
        amortised.append(click_new())
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


def in_a_page(chromium: Any, lab: Any, rounds: int) -> dict[str, Any]:
    """Measure in a page of its own."""
    explorer = ExplorerPage(chromium.new_context(viewport=VIEWPORT).new_page())
    explorer.open(lab.address(NOTEBOOK.name))
    figures = measure(explorer, rounds)
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


def of_a_million(chromium: Any, lab: Any) -> dict[str, float]:
    """Open a million atoms, wait for the first explanation, and click."""
    explorer, first_picture = repeated_sample(chromium, lab, MILLION)
    start = float(explorer.kernel(PEAK))
    started = time.perf_counter()
    explorer.page.wait_for_selector(EXPLAINED, timeout=LONGEST)
    predicted = time.perf_counter() - started
    explorer.wait_example()
    clicks = [clicked(explorer, place) for place in explorer.visible_atoms(3)]
    peak = float(explorer.kernel(PEAK))
    explorer.close()
    return {
        "first_picture_1m_s": first_picture,
        "predicted_1m_s": predicted,
        "click_1m_s": float(np.median(clicks)),
        "start_1m_gb": start,
        "peak_1m_gb": peak,
    }


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=8)
    parser.add_argument("--million", action="store_true", help="measure a glass of a million atoms, and nothing else")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    browser = chromium_path()
    if browser is None:
        raise SystemExit("no browser: set CHROME, or put Chromium on the PATH")
    with tempfile.TemporaryDirectory(prefix="symgnn-latency-") as folder:
        home, root = Path(folder) / "home", Path(folder) / "root"
        home.mkdir()
        root.mkdir()
        shutil.copy(NOTEBOOK, root / NOTEBOOK.name)
        with running_lab(home, root) as lab, sync_playwright() as driver:
            chromium = driver.chromium.launch(executable_path=browser, headless=True, args=CHROMIUM_FLAGS)
            if arguments.million:
                figures = of_a_million(chromium, lab)
                chromium.close()
                print("\n".join(f"{name:24}{value:>10.2f}" for name, value in figures.items()))
                write_json(arguments.json, {"machine": machine(), **figures})
                return
            figures = in_a_page(chromium, lab, arguments.rounds)
            figures |= {name: first_picture_of(chromium, lab, cells) for name, cells in LARGE.items()}
            with subprocess.Popen([sys.executable, "-c", BUSY]) as other:  # noqa: S603 - this Python
                try:
                    busy = in_a_page(chromium, lab, arguments.rounds)
                finally:
                    other.kill()
            chromium.close()
    timed = [name for name in (*GOALS, "hurried_click_s") if name.endswith("_s")]
    figures |= {f"busy_{name}": busy[name] for name in timed}
    figures["busy_most_times"] = max(busy[name] / figures[name] for name in timed)
    print(f"{'':24}{'measured':>10}{'goal':>8}")
    goals: dict[str, float | None] = {
        **GOALS,
        "hurried_click_s": None,
        "first_picture_24000_s": 2 * figures["first_picture_s"],
        "first_picture_100000_s": 15.0,
        **{f"busy_{name}": MOST_WHEN_BUSY * figures[name] for name in timed},
    }
    for name, goal in goals.items():
        print(f"{name:24}{figures[name]:>10.2f}" + ("" if goal is None else f"{goal:>8.2f}"))
    print(f"medians of {arguments.rounds} clicks, software WebGL; {machine()}")
    write_json(arguments.json, {"machine": machine(), "goals": GOALS, **figures})


if __name__ == "__main__":
    main()
