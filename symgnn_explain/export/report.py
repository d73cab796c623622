"""Everything about one explanation on one page that needs no network: a page to keep, to print and to send."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from symgnn_explain.explain.api import METHODS
from symgnn_explain.explain.mask_words import MASKED_AS_ONE, mask_meaning
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.sentence import explanation_sentence
from symgnn_explain.export.figure_page import figure_block, figure_scripts
from symgnn_explain.export.findings import Findings, versions
from symgnn_explain.export.naming import free_path, today
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.markup import Markup, element, joined, page, table
from symgnn_explain.runs.tables import decimal_text

if TYPE_CHECKING:
    import plotly.graph_objects as go

LISTED = 20  # rows of the lists of edges and atoms; the data files hold all
_CAPTIONS = {
    "neighbourhood": "What matters most, around the explained atom; width is importance.",
    "distances": "How far the important atoms are, against all atoms of the receptive field. Distances in a glass peak "
    "where g(r) does: read the enrichment against its null, not the peaks.",
    "contributions": "What lies at each distance adds to the prediction or takes from it, from everything masked to "
    "nothing masked. By a method whose contributions sum to that difference, the bars do too.",
    "cycles": "Optimal cycles through the important edges. Short edges lie on more cycles whatever the network thinks: "
    "compare with the edges of the same hop and length.",
    "interactions": "Shapley interaction values from all coalitions of the units, exact: what each two add by acting "
    "together, whatever each does alone.",
    "interactions_3d": "The strongest pairs as lines, the strongest triples as triangles; red raises, blue lowers.",
    "mechanism": "The atoms that matter most, and how the atoms move that do at the saddle points; the longest way is "
    "drawn with 4 Å. Near atoms both matter and move: compare with nearness, and at equal distance.",
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
    from symgnn_explain.plotting import prediction_histogram

    explanation, glass = findings.explanation, findings.glass
    method = METHODS.get(explanation.method)  # None where it is none of ours
    atom, symbol = explanation.atom, glass.symbols[explanation.atom]
    value = explanation.quantity.text(explanation.prediction)
    title = f"Atom {atom} ({symbol}) of {glass.name}: why is its predicted {explanation.quantity.word} {value}?"
    histogram = prediction_histogram(glass, findings.predictions, atom=atom, target=explanation.quantity)
    figures = findings.figures() | {"predictions": histogram}
    sentence = explanation_sentence(explanation, glass, k=findings.k, uncertainty=findings.uncertainty)
    body = [
        element("h1", title),
        element("div", f"Explained by {method.label if method else explanation.method}, {today()}", css="subtitle"),
        element("div", sentence, css="sentence"),
        *_verdict(explanation),
        element("h2", "In numbers"),
        _named(_numbers(findings)),
        element("h2", "Figures"),
        *(_figure(name, figure) for name, figure in figures.items()),
        element("h2", "Tables"),
        *_tables(findings),
        element("h2", "How it was made"),
        _named(_provenance(findings, weights_sha256)),
        figure_scripts(),
    ]
    css = (files("symgnn_explain") / "data" / "report.css").read_text(encoding="utf-8")
    return page(title, css, body)


def write_report(findings: Findings, path: str | Path, *, weights_sha256: str = "", overwrite: bool = False) -> Path:
    """Write :func:`report_html` to a file.

    Raises
    ------
    InputError
        If the suffix is not ``.html``, the file exists and may not be replaced, or there is nothing to report.
    """
    path = free_path(path, (".html", ".htm"), "reports are written as .html", overwrite=overwrite)
    return write_atomically(path, report_html(findings, weights_sha256=weights_sha256).encode())


def _verdict(explanation: AtomExplanation) -> list[Markup]:
    """Show what speaks against the explanation, what was checked, and what was not."""
    passed, not_made = [], []
    against, within = list(explanation.caveats), explanation.quantity.tolerance_text
    if explanation.masked_change is None:
        not_made.append("the prediction under the mask (the method gives none)")
    elif abs(explanation.masked_change) <= explanation.quantity.required_tolerance:
        passed.append(f"the prediction under the mask stays within {within}")
    if explanation.out_of_distribution is None:
        not_made.append("whether masked predictions stay within the range of this glass's predictions (there are none)")
    elif not explanation.out_of_distribution:
        passed.append("masked predictions stay within the range of this glass's predictions")
    if explanation.fidelity is None:
        not_made.append("whether the most important units alone give the same prediction")
    elif (needed := explanation.fidelity.sufficient_count()) is None:
        against.append(
            f"Kept alone, not even the {explanation.fidelity.count[-1]} most important units give the same prediction "
            f"within {within}: it rests on more than the few edges that are shown."
        )
    else:
        passed.append(f"the {needed} most important units alone give the same prediction within {within}")
    said = []
    if passed:
        said.append(f"Checked, and nothing found against it: {'; '.join(passed)}.")
    if not_made:
        said.append(f"Not checked: {'; '.join(not_made)}.")
    if not against:
        said.append("That does not make it the only explanation, nor a cause.")
    warned = [element("div", sentence, css="warning") for sentence in against]
    return [*warned, element("div", " ".join(said), css="fine")]


def _numbers(findings: Findings) -> dict[str, str]:
    explanation, glass, shells = findings.explanation, findings.glass, findings.shells
    quantity = explanation.quantity
    predictions = findings.predictions
    rank = 100 * np.count_nonzero(predictions < predictions[explanation.atom]) // len(predictions)  # none is above all
    low, high = (quantity.number(end, coarse=True) for end in explanation.prediction_range)
    spread = "" if findings.uncertainty is None else f" ± {quantity.number(findings.uncertainty)}"
    value = quantity.with_unit(f"{quantity.number(explanation.prediction)}{spread}")
    numbers = {
        f"Predicted {quantity.word}": f"{value}, above {rank} % of the atoms (all: {low} to {quantity.with_unit(high)})"
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
    if findings.domain is not None:
        score = findings.domain[explanation.atom]
        numbers["Domain score"] = f"{score:.2f}; beyond 1 lie surroundings that training did not cover"
    if findings.barrier is not None:
        numbers["Computed barrier"] = str(findings.barrier)
    if findings.mechanism is not None:
        numbers["What matters and what moves"] = str(findings.mechanism)
    numbers["Receptive field"] = f"{len(explanation)} {explanation.edges_are}, {len(shells.all_distance) + 1} atoms"
    numbers["Important atoms"] = (
        f"{len(shells.important)} at the ends of the {findings.k} most important {explanation.edges_are}, median "
        f"distance {np.median(shells.distance):.2f} Å (all atoms of the receptive field: "
        f"{np.median(shells.all_distance):.2f} Å)"
    )
    return numbers


def _tables(findings: Findings) -> list[Markup]:
    explanation = findings.explanation
    atoms = findings.shells.atoms_frame().sort_values("score", ascending=False, kind="stable")
    atoms.insert(1, "species", [findings.glass.symbols[atom] for atom in atoms["atom"]])
    edges = explanation.top_edges(min(LISTED, len(explanation))).drop(columns="edge")
    shells = findings.shells.to_frame()
    kept = ["name", "inner", "outer", "n_important", "n_all", "enrichment", "enrichment_low", "enrichment_high"]
    unit = explanation.quantity.unit
    in_unit = f" ({unit})" if unit else ""
    score = f"contribution{in_unit}" if explanation.signed else "mask value, from 0 to 1"
    of_edges = (
        f"From source to target; distance in Å; hops of the receiving atom from the explained one; score: {score}."
    )
    if explanation.member_spread is not None:
        of_edges += " Member spread: standard deviation over the ensemble, disputed where it exceeds the score."
    parts = [
        element("h3", f"The {len(edges)} most important {explanation.edges_are}"),
        element("div", of_edges, css="note"),
        _table(edges),
        element("h3", f"The {min(LISTED, len(atoms))} most important atoms"),
        element(
            "div",
            f"Distance from the explained atom in Å; score: sum of the absolute scores of those of the {findings.k} "
            f"most important {explanation.edges_are} that begin or end at the atom.",
            css="note",
        ),
        _table(atoms.head(LISTED)),
        element("h3", "Shells of g(r)"),
        element(
            "div",
            "Between inner and outer (Å); enrichment: share of the important atoms over share of all, with its 95 % "
            "interval; hop: the same for atoms drawn at random with the hops of the important ones.",
            css="note",
        ),
        _table(shells[[*kept, "hop_expected", "hop_null_low", "hop_null_high"]]),
    ]
    if explanation.fidelity is not None:
        said = (
            f"{explanation.quantity.axis(f'Predicted {explanation.quantity.word}')} with only (kept) and without "
            "(removed) so many, and how far each is from the prediction (sufficiency, necessity); in spreads: in "
            "standard deviations of the predictions for this glass."
        )
        parts += [
            element("h3", "With only, and without, the most important units"),
            element("div", said, css="note"),
            _table(explanation.fidelity.to_frame()),
        ]
    if findings.cycles is not None:
        said = (
            "Optimal cycles through an edge, mean of each group; matched: edges of the hop and length of the top ones."
        )
        parts += [
            element("h3", "Cycles through an edge"),
            element("div", f"{said} Intervals of 95 %.", css="note"),
            _table(findings.cycles.to_frame()),
        ]
    if findings.mechanism is not None:
        said = "Score, distance (Å), and how far (Å) an atom is from its place at the saddle point where it is farthest"
        parts += [
            element("h3", "The atoms that matter, and how far they move"),
            element("div", f"{said}.", css="note"),
            _table(findings.mechanism.to_frame().head(LISTED)),
        ]
    if findings.interactions is not None:
        found = findings.interactions
        said = "Sum of Harsanyi's dividends, from everything masked to the prediction; share of the variance over all "
        parts += [
            element("h3", f"What one, two, three and more {found.kind} do together"),
            element("div", f"{said}coalitions. {' '.join(found.caveats)}", css="note"),
            _table(found.body_shares().rename(columns={"sum": f"sum ({unit})" if unit else "sum"})),
            element("h3", "The strongest interactions"),
            element(
                "div", f"Order 1: Shapley values; 2 and 3: what so many add by acting together{in_unit}.", css="note"
            ),
            _table(found.to_frame(3).groupby("order").head(6)),
        ]
    return parts


def _provenance(findings: Findings, weights_sha256: str) -> dict[str, str]:
    explanation, glass = findings.explanation, findings.glass
    settings = ", ".join(f"{name} = {value}" for name, value in explanation.settings.items())
    method = METHODS.get(explanation.method)
    made = {
        "Method": f"{method.label} ({method.name}): {method.description}" if method else explanation.method,
        "Settings": settings or "none",
        "A mask means": mask_meaning(explanation.mask_semantics, explanation.unit),
        "Masked as one": MASKED_AS_ONE[explanation.unit],
        "Time": f"{explanation.wall_time:.2f} s",
        "Glass": f"{glass.name}, {glass.formula}, {glass.number_density:.4f} atoms/Å³",
        "Glass SHA-256": glass.content_hash,
    }
    if weights_sha256:
        made["Weights SHA-256"] = weights_sha256
    made |= {f"From: {key}": str(value) for key, value in glass.provenance.items()}
    return made | {"Versions": ", ".join(f"{package} {number}" for package, number in versions().items())}


def _figure(name: str, figure: go.Figure) -> Markup:
    drawn = element("div", figure_block(f"figure-{name}", figure), css="figure")
    return joined([drawn, element("div", _CAPTIONS[name], css="note")])


def _named(rows: Mapping[str, Any]) -> Markup:
    written = (element("tr", element("th", name), element("td", value)) for name, value in rows.items())
    return element("table", *written, css="names")


def _table(rows: pd.DataFrame) -> Markup:
    def shown(value: Any) -> str:
        return decimal_text(value) if isinstance(value, float) else str(value)

    headings = (str(name).replace("_", " ") for name in rows.columns)
    cells = (map(shown, row) for row in rows.itertuples(index=False))
    return element("div", table(cells, headings, css="data"), css="wide")
