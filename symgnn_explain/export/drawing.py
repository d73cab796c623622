"""The program that draws pictures: run as a file of its own, so that a browser that hangs can be ended with it.

It is given a folder, whose ``figures.json`` lists figures with format and scale, and writes pictures named by their
places in that list. Nothing else of this package is imported.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

WATCH = 1.0  # seconds between two looks at whether the caller still runs


async def _draw(wanted: list[dict[str, Any]], folder: Path) -> None:
    from kaleido import Kaleido

    # MathJax would be fetched from the network.
    async with Kaleido(n=1, mathjax=False) as browser:
        for place, one in enumerate(wanted):
            opts = {"format": one["format"], "scale": one["scale"]}
            blob = await browser.calc_fig(one["figure"], opts=opts)
            part = folder / f"{place}.part"
            part.write_bytes(blob)
            part.rename(folder / str(place))


def _end_with(caller: int) -> None:
    while os.getppid() == caller:
        time.sleep(WATCH)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    given = Path(sys.argv[1])
    listed = json.loads((given / "figures.json").read_text(encoding="utf-8"))
    try:
        asyncio.run(_draw(listed, given))
    except Exception as error:  # whatever the browser and what drives it raise; the caller quotes the last line
        reason = str(error.args[0] if error.args else "").strip().split("\n")[0]
        sys.exit(f"{type(error).__name__}: {reason}")
