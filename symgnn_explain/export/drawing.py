"""The program that draws pictures: run as a file of its own, so that a browser that hangs can be ended with it.

It is given a folder, whose ``figures.json`` lists figures with format and scale, and writes pictures named by their
places in that list. Where the folder holds a page, the figures are pictures of a film: one becomes the next in that
page, which takes a tenth of the time. Nothing else of this package is imported.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

WATCH = 1.0  # seconds between two looks at whether the caller still runs
PAGE = "film.html"
_LOOK = 0.1  # seconds between two looks at whether the page is there


async def _draw(wanted: list[dict[str, Any]], folder: Path) -> None:
    from kaleido import Kaleido

    # MathJax would be fetched from the network.
    async with Kaleido(n=1, mathjax=False) as browser:
        for place, one in enumerate(wanted):
            opts = {"format": one["format"], "scale": one["scale"]}
            _keep(folder, place, await browser.calc_fig(one["figure"], opts=opts))


async def _film(wanted: list[dict[str, Any]], folder: Path) -> None:
    from choreographer import Browser

    layout = wanted[0]["figure"]["layout"]
    size = {"width": layout["width"], "height": layout["height"]}

    async with Browser(headless=True) as browser:
        tab = await browser.create_tab((folder / PAGE).as_uri())

        async def command(name: str, **given: Any) -> Any:
            said = await tab.send_command(name, given)
            wrong = said.get("error") or said["result"].get("exceptionDetails")
            if wrong:
                raise RuntimeError(wrong.get("message") or wrong.get("exception", {}).get("description") or wrong)
            return said["result"]

        scale = wanted[0]["scale"]
        await command("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=scale, mobile=False)
        asked = {"expression": "typeof window.become", "returnByValue": True}
        while (await command("Runtime.evaluate", **asked))["result"]["value"] != "function":
            await asyncio.sleep(_LOOK)  # the caller ends this program where it takes too long
        # The margins of the first settle once it is drawn again, as those after it are.
        for place, one in ((-1, wanted[0]), *enumerate(wanted)):
            code = f"become({json.dumps(one['figure'])})"
            await command("Runtime.evaluate", expression=code, awaitPromise=True)
            if place < 0:
                continue
            taken = await command("Page.captureScreenshot", format="png", clip={"x": 0, "y": 0, "scale": 1, **size})
            _keep(folder, place, base64.b64decode(taken["data"]))


def _keep(folder: Path, place: int, blob: bytes) -> None:
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
        asyncio.run((_film if (given / PAGE).exists() else _draw)(listed, given))
    except Exception as error:  # whatever the browser and what drives it raise; the caller quotes the last line
        reason = str(error.args[0] if error.args else "").strip().split("\n")[0]
        sys.exit(f"{type(error).__name__}: {reason}")
