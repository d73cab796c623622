"""Everything about one explanation on one page that needs no network: a page to keep, to print and to send."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.api import METHODS
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.sentence import explanation_sentence
from symgnn_explain.export.findings import Findings, versions
from symgnn_explain.export.naming import require_free, today
from symgnn_explain.export.verdict import verdict
from symgnn_explain.plotting.style import FIGURE_CONFIG
from symgnn_explain.runs.files import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go

LISTED = 20
"""Rows of the lists of edges and atoms; the data files hold all."""

_MEANINGS = {
    "reference": "a masked message is replaced by the mean message that atoms of this glass receive",
    "zero": "a masked message is set to zero, as published",
    "removal": "a masked edge is taken out of the graph",
}
_CAPTIONS = {
    "neighbourhood": "The most important edges, around the explained atom; width is importance.",
    "distances": "How far the important atoms are, against all atoms of the receptive field. Distances in a glass peak "
    "where g(r) does: read the enrichment against its null, not the peaks.",
    "cycles": "Optimal cycles through the important edges. Short edges lie on more cycles whatever the network thinks: "
    "compare with the edges of the same hop and length.",
    "predictions": "The predictions for the whole glass, and the explained atom among them.",
}


def report_html(findings: Findings, *, weights_sha256: str = "") -> str:
    """Write the report: sentence, warnings, numbers, figures, tables, settings, hashes and versions.

    Parameters
    ----------
    findings
        The explanation and its analysis.
    weights_sha256
        Hash of the network's weights, where it is known.

    Raises
    ------
    InputError
        If no atom but the explained one is important.
    """
    from plotly.offline import get_plotlyjs

    from symgnn_explain.plotting import prediction_histogram

    explanation, glass = findings.explanation, findings.glass
    atom, symbol = explanation.atom, glass.symbols[explanation.atom]
    value = explanation.quantity.text(explanation.prediction)
    title = f"Atom {atom} ({symbol}) of {glass.name}: why is its predicted {explanation.quantity.word} {value}?"
    histogram = prediction_histogram(glass, findings.predictions, atom=atom, target=explanation.quantity)
    figures = findings.figures() | {"predictions": histogram}
    sentence = explanation_sentence(explanation, glass, k=findings.k, uncertainty=findings.uncertainty)
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f'<div class="subtitle">{html.escape(f"Explained by {METHODS[explanation.method].label}, {today()}")}</div>',
        f'<div class="sentence">{html.escape(sentence)}</div>',
        *_verdict(explanation),
        "<h2>In numbers</h2>",
        _named(_numbers(findings)),
        "<h2>Figures</h2>",
        *(_figure(name, figure) for name, figure in figures.items()),
        "<h2>Tables</h2>",
        *_tables(findings),
        "<h2>How it was made</h2>",
        _named(_provenance(findings, weights_sha256)),
    ]
    parts = {
        "title": html.escape(title),
        "plotly": get_plotlyjs().replace("</script", "<\\/script"),
        "body": "\n".join(body),
    }
    template = (files("symgnn_explain") / "data" / "report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda token: parts[token[1]], template)


def write_report(
    findings: Findings,
    path: str | Path,
    *,
    weights_sha256: str = "",
    overwrite: bool = False,
) -> Path:
    """Write :func:`report_html` to a file.

    Raises
    ------
    InputError
        If the suffix is not ``.html``, the file exists and may not be replaced, or there is nothing to report.
    """
    path = Path(path)
    if path.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"{path} has an unknown suffix: reports are written as .html.")
    require_free([path], overwrite=overwrite)
    page = report_html(findings, weights_sha256=weights_sha256)
    return write_atomically(path, page.encode())


def _verdict(explanation: AtomExplanation) -> list[str]:
    """Show what speaks against the explanation, what was checked, and what was not."""
    said = verdict(explanation)
    warned = [f'<div class="warning">{html.escape(sentence)}</div>' for sentence in said.against]
    return [*warned, f'<div class="fine">{html.escape(said.note)}</div>']


def _numbers(findings: Findings) -> dict[str, str]:
    explanation, glass, shells = findings.explanation, findings.glass, findings.shells
    quantity = explanation.quantity
    rank = 100.0 * float(np.mean(findings.predictions < explanation.prediction))
    low, high = (quantity.number(end, coarse=True) for end in explanation.prediction_range)
    spread = "" if findings.uncertainty is None else f" ± {quantity.number(findings.uncertainty)}"
    value = quantity.with_unit(f"{quantity.number(explanation.prediction)}{spread}")
    numbers = {
        f"Predicted {quantity.word}": f"{value}, above {rank:.0f} % of the atoms (all: {low} to "
        f"{quantity.with_unit(high)})"
    }
    if (known := quantity.label(glass, explanation.atom)) is not None:
        numbers[f"Known {quantity.word}"] = quantity.text(known)
    if explanation.masked_prediction is not None and explanation.masked_change is not None:
        change = quantity.text(explanation.masked_change, sign=True)
        numbers["With the mask"] = f"{quantity.text(explanation.masked_prediction)} ({change})"
    checked = explanation.fidelity
    if checked is not None:
        needed = checked.sufficient_count()
        numbers["Units that suffice"] = (
            f"none of the checked numbers, up to {checked.count[-1]}"
            if needed is None
            else f"{needed} of {len(explanation.unit_score)} (within {quantity.tolerance_text}, from there on)"
        )
    numbers["Receptive field"] = f"{len(explanation)} directed edges, {len(shells.all_distance) + 1} atoms"
    numbers["Important atoms"] = (
        f"{len(shells.important)} at the ends of the {findings.k} most important edges, median distance "
        f"{np.median(shells.distance):.2f} Å (all atoms of the receptive field: {np.median(shells.all_distance):.2f} Å)"
    )
    return numbers


def _tables(findings: Findings) -> list[str]:
    explanation = findings.explanation
    atoms = findings.shells.atoms_frame().sort_values("score", ascending=False, kind="stable")
    atoms.insert(1, "species", [findings.glass.symbols[atom] for atom in atoms["atom"]])
    edges = explanation.top_edges(min(LISTED, len(explanation))).drop(columns="edge")
    shells = findings.shells.to_frame()
    kept = ["name", "inner", "outer", "n_important", "n_all", "enrichment", "enrichment_low", "enrichment_high"]
    parts = [
        f"<h3>The {len(edges)} most important edges</h3>",
        '<div class="note">From source to target; distance in Å; hop of the receiving atom.</div>',
        _table(edges),
        f"<h3>The {min(LISTED, len(atoms))} most important atoms</h3>",
        _table(atoms.head(LISTED)),
        "<h3>Shells of g(r)</h3>",
        '<div class="note">Enrichment: share of the important atoms over share of all; 95 % interval.</div>',
        _table(shells[[*kept, "hop_expected", "hop_null_low", "hop_null_high"]]),
    ]
    if explanation.fidelity is not None:
        said = f"{explanation.quantity.axis(f'Predicted {explanation.quantity.word}')} and its changes."
        parts += [
            "<h3>With only, and without, the most important units</h3>",
            f'<div class="note">{html.escape(said)}</div>',
            _table(explanation.fidelity.to_frame()),
        ]
    if findings.cycles is not None:
        parts += ["<h3>Cycles through an edge</h3>", _table(findings.cycles.to_frame())]
    return parts


def _provenance(findings: Findings, weights_sha256: str) -> dict[str, str]:
    explanation, glass = findings.explanation, findings.glass
    method = METHODS[explanation.method]
    settings = ", ".join(f"{name} = {value}" for name, value in explanation.settings.items())
    made = {
        "Method": f"{method.label} ({explanation.method}): {method.description}",
        "Settings": settings or "none",
        "A mask means": _MEANINGS[explanation.mask_semantics],
        "Masked as one": explanation.unit,
        "Time": f"{explanation.wall_time:.2f} s",
        "Glass": f"{glass.name}, {glass.formula}, {glass.number_density:.4f} atoms/Å³",
        "Glass SHA-256": glass.content_hash,
    }
    if weights_sha256:
        made["Weights SHA-256"] = weights_sha256
    made |= {f"From: {key}": str(value) for key, value in glass.provenance.items()}
    return made | {"Versions": ", ".join(f"{package} {number}" for package, number in versions().items())}


def _figure(name: str, figure: go.Figure) -> str:
    drawn = figure.to_html(full_html=False, include_plotlyjs=False, config=FIGURE_CONFIG, div_id=f"figure-{name}")
    return f'<div class="figure">{drawn}</div><div class="note">{html.escape(_CAPTIONS[name])}</div>'


def _named(rows: Mapping[str, Any]) -> str:
    cells = (f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>" for name, value in rows.items())
    return f'<table class="names">{"".join(cells)}</table>'


def _table(table: pd.DataFrame) -> str:
    def shown(value: Any) -> str:
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    heads = "".join(f"<th>{html.escape(str(name).replace('_', ' '))}</th>" for name in table.columns)
    rows = "".join(_row(map(shown, row)) for row in table.itertuples(index=False))
    return f'<div class="wide"><table class="data"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
