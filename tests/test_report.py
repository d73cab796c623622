"""The report holds the explanation's own numbers on one page that fetches nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from symgnn_explain.cli import BAD_INPUT, main
from symgnn_explain.errors import InputError
from symgnn_explain.explain import explain_atom, prepare
from symgnn_explain.explain.result.sentence import explanation_sentence
from symgnn_explain.export import Findings, report_html, write_report
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.record_format import pack
from symgnn_explain.runs.records import RecordFolder, run_of
from symgnn_explain.saddles import AtomBarrier, Saddle
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects what a page says, what it fetches, and whether its elements are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.said.append(data)


@pytest.fixture(scope="module")
def findings(random_glass: Callable[..., Glass], tiny_predictor: Predictor) -> Findings:
    glass = random_glass(5)
    prepared = prepare(tiny_predictor, glass)
    explanation = explain_atom(tiny_predictor, glass, 7, "gnnexplainer", prepared=prepared, epochs=20)
    return Findings(glass, prepared.predictions, explanation, 30, spread=np.full(len(glass), 0.11))


def test_every_figure_has_a_caption(findings: Findings, tiny_predictor: Predictor) -> None:
    signed = explain_atom(tiny_predictor, findings.glass, 7, "integrated_gradients")
    shown = replace(findings, explanation=signed)
    said = " ".join(Page(report_html(shown)).said)
    assert "contributions" in shown.figures()
    assert "What lies at each distance adds to the prediction" in said
    assert "score: contribution (eV)." in said


def test_the_page_says_what_the_explanation_says_and_fetches_nothing(findings: Findings) -> None:
    text = report_html(findings, weights_sha256="c0ffee")
    page = Page(text)
    said = " ".join(page.said)
    assert page.open == []
    assert page.fetched == []
    assert "default-src 'none'" in text
    explanation, glass = findings.explanation, findings.glass
    assert explanation_sentence(explanation, glass, k=30, uncertainty=0.11) in said
    for expected in (
        f"{explanation.prediction:.3f} eV",
        glass.content_hash,
        "c0ffee",
        "epochs = 20",
        f"{explanation.masked_prediction:.3f} eV",
        f"{glass.barriers[7]:.3f} eV",
        "torch ",
    ):
        assert expected in said
    best = explanation.top_edges(1).iloc[0]
    row = f"<td>1</td><td>{best['source']}</td><td>{best['target']}</td><td>{best['distance']:.3f}</td>"
    assert row in text
    assert text.count('id="data-of-figure-') >= 3
    assert "score: mask value, from 0 to 1." in said
    assert f"{len(explanation)} directed edges, " in said


def test_no_atom_is_above_all_atoms(glass: Glass, tiny_predictor: Predictor) -> None:
    """The highest of 216 is above 99.5 % of them."""
    prepared = prepare(tiny_predictor, glass)
    highest = int(prepared.predictions.argmax())
    explanation = prepared.explain(highest, "input_gradient")
    said = " ".join(Page(report_html(Findings(glass, prepared.predictions, explanation, 30))).said)
    assert "above 99 % of the atoms" in said


def test_warnings_are_shown_and_their_absence_is_not_praised(findings: Findings) -> None:
    explanation = findings.explanation
    unfaithful = replace(explanation, masked_prediction=explanation.prediction + 0.2)
    said = " ".join(Page(report_html(replace(findings, explanation=unfaithful))).said)
    for caveat in unfaithful.caveats:
        assert caveat in said
    assert "found nothing against it" not in said
    assert explanation.fidelity is not None
    kept = np.full_like(explanation.fidelity.kept, explanation.prediction)
    low, high = explanation.prediction - 9, explanation.prediction + 9
    fine = replace(
        explanation,
        masked_prediction=explanation.prediction,
        prediction_range=(low, high),
        fidelity=replace(explanation.fidelity, kept=kept, removed=kept),
    )
    said = " ".join(Page(report_html(replace(findings, explanation=fine))).said)
    assert "That does not make it the only explanation, nor a cause" in said


def computed(atom: int, moving: np.ndarray) -> AtomBarrier:
    """One saddle point, where some atoms move by 0.5 Å."""
    way = np.tile([0.0, 0.0, 0.5], (len(moving), 1))
    return AtomBarrier(atom, (Saddle(1.25, 0.1, -1.0, 0, moving, way),), {"saddle": 1, "duplicate": 9}, (1, 1))


def test_what_moves_stands_beside_what_matters(findings: Findings) -> None:
    assert "mechanism" not in findings.figures()
    atoms = findings.explanation.atom_scores().index.to_numpy()
    moving = np.sort(atoms[atoms != 7][:12])
    shown = replace(findings, barrier=computed(7, moving))
    text = report_html(shown)
    said = " ".join(Page(text).said)
    assert said.count("atom 7: 1.250 eV from 1 saddles in 10 searches") == 1
    assert f"12 of {len(atoms) - 1} atoms move at saddle points" in said
    assert "The atoms that matter, and how far they move" in said
    assert 'id="data-of-figure-mechanism"' in text
    table = shown.tables()["mechanism"]
    assert table["score"].is_monotonic_decreasing
    assert set(table["atom"][table["moved_angstrom"] > 0]) == set(moving)
    none = replace(findings, barrier=AtomBarrier(7, (), {"lost": 10}, (1, 1)))
    assert "no saddle in 10 searches" in " ".join(Page(report_html(none)).said)
    assert "mechanism" not in none.figures()
    with pytest.raises(InputError, match="barrier is of atom 8, and the explanation of atom 7"):
        replace(findings, barrier=computed(8, moving))


def test_names_from_files_are_text(findings: Findings) -> None:
    evil = replace(findings.glass, name="</title><script>alert(1)</script>", provenance={"<b>": "<img src=http://x>"})
    text = report_html(replace(findings, glass=evil))
    assert "alert(1)</script>" not in text
    assert Page(text).fetched == []


def test_a_report_replaces_nothing_unasked(findings: Findings, tmp_path: Path) -> None:
    path = write_report(findings, tmp_path / "new" / "report.html")
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_report(findings, path)
    with pytest.raises(InputError, match=r"written as \.html"):
        write_report(findings, tmp_path / "report.pdf")
    assert path.read_bytes() == before
    assert write_report(findings, path, weights_sha256="other", overwrite=True).read_bytes() != before


def test_the_command_line_writes_a_report(
    tmp_path: Path,
    tiny_weights: Path,
    random_glass: Callable[..., Glass],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ase.io import write

    from symgnn_explain.analysis.topology import of_glass as topology

    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: tmp_path / "cache")
    write(tmp_path / "glass.extxyz", random_glass(5).to_ase())
    out = tmp_path / "r" / "atom3.html"
    command = ["report", str(tmp_path / "glass.extxyz"), "--atom", "3", "--method", "input_gradient", "--out", str(out)]
    command += ["--weights", str(tiny_weights)]
    glass = read_glass(tmp_path / "glass.extxyz")
    for folder, sha256 in (("its", glass.content_hash), ("others", "0" * 64)):
        records = RecordFolder(tmp_path / folder / "records", {"glass": {"sha256": sha256}}, what="barriers")
        records.open()
        near = np.argsort(np.linalg.norm(glass.displacements_from(3), axis=1))[1:5]
        records.write(3, pack(run_of(records.manifest), computed(3, np.sort(near)).to_dict()), 1.0)
    for folder, message in (("others", "holds barriers of another structure"), ("", "holds no barriers")):
        assert main([*command, "--barriers", str(tmp_path / folder)]) == BAD_INPUT
        assert message in capsys.readouterr().err
        assert not out.exists()
    assert main([*command, "--interactions", "species", "--barriers", str(tmp_path / "its")]) == 0
    assert f"Wrote {out}" in capsys.readouterr().out
    said = " ".join(Page(out.read_text(encoding="utf-8")).said)
    assert "Input × Gradient" in said
    assert "Cycles through an edge" in said
    assert "What one, two, three and more species do together" in said
    assert "atoms move at saddle points" in said
    assert main(command) == BAD_INPUT
    assert re.fullmatch(r"--out .*atom3\.html exists already: .*--overwrite\.\n", capsys.readouterr().err)
    assert main([*command, "--overwrite", "--k", "0"]) == BAD_INPUT
    assert main([*command[:-1], "missing.safetensors", "--overwrite"]) == BAD_INPUT
    assert main([*command, "--overwrite"]) == 0


def test_a_receptive_field_of_few_edges_is_reported(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symgnn_explain.analysis.topology import of_glass as topology
    from symgnn_explain.structure.io.writing import write_glass

    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: tmp_path / "cache")
    file = write_glass(
        Glass([[5, 5, 5], [7.7, 5, 5], [5, 7.9, 5]], [29, 29, 40], 20 * np.eye(3)), tmp_path / "g.extxyz"
    )
    command = ["report", str(file), "--atom", "0", "--method", "saliency", "--weights", str(tiny_weights)]
    assert main([*command, "--out", str(tmp_path / "atom0.html")]) == 0
