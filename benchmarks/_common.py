"""What the benchmarks share: their arguments, the machine in words, medians, and the JSON that they write."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch


def argument_parser(doc: str, *, rounds: int | None = 5) -> argparse.ArgumentParser:
    """Build a parser with ``--json FILE``, described by the first line of the script's docstring.

    It has ``--rounds`` too, unless ``rounds`` is None, for a script that repeats nothing.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds, help="repetitions; the table shows medians")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def machine(device: torch.device | str = "cpu") -> str:
    """Describe what the figures were measured on."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.device(device).type == "cuda" else ""
    processor = platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} CPUs{gpu}, torch {torch.__version__}, {torch.get_num_threads()} threads"


def write_json(path: Path | None, figures: dict[str, Any]) -> None:
    """Write ``figures`` where the user asked for it."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
