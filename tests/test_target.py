"""What a network predicts goes by its own name and unit everywhere: nothing calls another quantity a barrier."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ipywidgets import Widget

from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.cli import main
from symgnn_explain.errors import InputError
from symgnn_explain.explain import AtomExplanation, explain_atom, prepare
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import BARRIER, Target, with_tolerance
from symgnn_explain.plotting import parity_figure, position_figure, prediction_histogram
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass
from symgnn_explain.structure.io.writing import write_glass
from symgnn_explain.structure.selection import select_atoms
from symgnn_explain.training.metrics import regression_metrics
from symgnn_widgets import GlassExplorer

TARGETS = {"potential_energy": "eV", "D2min": "Å²"}
"""An energy that is no barrier, as a published training glass has it, and a number that is no energy."""
ATOM = 20
UNKNOWN = 5
"""So many atoms of each glass have no known value."""


@dataclass(frozen=True)
class Made:
    """What the command line wrote and said for a network trained on a target."""

    target: Target
    folder: Path
    glass: Glass
    weights: Path
    said: str
    training: np.ndarray
    """Known values of the training glasses, NaN where unknown."""


def glass_with(array: str, seed: int) -> Glass:
    """A disordered glass with an array that its species decide, but for noise."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    spacing = 2.4 + 0.12 * seed
    numbers = np.where(rng.random(len(grid)) < 0.64, 29, 40)
    values = 4.0 + 20.0 * (numbers == 40) + rng.normal(0, 2.0, len(grid))
    positions = grid * spacing + 0.8 * seed + rng.normal(0, 0.25, grid.shape)
    return Glass(positions, numbers, np.eye(3) * 4 * spacing, arrays={array: values})


def cut_out(glass: Glass, array: str, seed: int) -> Glass:
    """A cube of a glass, periodic by itself: of atoms that would overlap across its faces one is left out."""
    edge = 10.5
    positions = glass.fractional() % 1.0 @ glass.cell - 11.0 * seed
    kept: list[int] = []
    for atom in np.flatnonzero(((positions >= 0) & (positions < edge)).all(axis=1)):
        apart = positions[kept] - positions[atom]
        if (np.linalg.norm(apart - edge * np.rint(apart / edge), axis=1) > 2.0).all():
            kept.append(int(atom))
    values = {array: glass.arrays[array][kept]}
    return Glass(positions[kept], glass.numbers[kept], np.eye(3) * edge, arrays=values)


@pytest.fixture(scope="module", params=TARGETS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A network trained briefly on another quantity, and all that the command line makes of it."""
    array: str = request.param
    folder = tmp_path_factory.mktemp(array)
    if array == "D2min":
        glasses = [glass_with(array, seed) for seed in (1, 2, 3)]
    else:
        whole = request.getfixturevalue("published")("train0")
        glasses = [cut_out(whole, array, seed) for seed in (0, 1, 2)]
    files, labels = list[str](), list[np.ndarray]()
    for number, glass in enumerate(glasses, start=1):
        labels.append(glass.arrays[array].copy())
        labels[-1][:UNKNOWN] = np.nan
        files.append(str(write_glass(glass.with_arrays(**{array: labels[-1]}), folder / f"g{number}.extxyz")))
    weights = folder / "train" / "predictor.safetensors"
    one, two, three = files
    runs = [
        (
            f"train {one} {two} --validate {three} --target {array} --unit {TARGETS[array]} --preset symgnn --epochs 2 "
            f"--out {folder}/train"
        ),
        *(
            f"{run} --weights {weights}"
            for run in (
                f"evaluate {one} {two} {three}",
                f"evaluate {three} --json",
                *(f"predict {three} --out {folder}/predictions.{kind}" for kind in ("csv", "json", "extxyz")),
                f"explain {three} --atom {ATOM} --method gnnexplainer --set epochs=5 --out {folder}/mask",
                f"explain {three} --atom {ATOM} --method input_gradient --out {folder}/signed",
                f"report {three} --atom {ATOM} --method gnnexplainer --set epochs=5 --out {folder}/report.html",
                f"explain-many {three} --atoms '{array} > -99 and lowest:4' --method saliency --out {folder}/many",
                f"population {three} --atoms highest:12 --k 3 --method saliency --out {folder}/all",
            )
        ),
    ]
    patch = pytest.MonkeyPatch()
    patch.setattr(topology, "cycle_cache_folder", lambda: folder / "cache")
    patch.setenv("BROWSER_PATH", str(folder / "none"))  # pictures of these pages hold no text that could be searched
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for run in runs:
            assert main(shlex.split(run)) == 0, said.getvalue()
    training = np.concatenate(labels[:2])
    yield Made(Target.of_array(array), folder, read_glass(files[2]), weights, said.getvalue(), training)
    patch.undo()


def test_no_output_calls_it_a_barrier(made: Made) -> None:
    assert "barrier" not in made.said.lower()
    written = [path for path in made.folder.rglob("*") if path.is_file()]
    assert {".csv", ".json", ".html", ".extxyz", ".graphml", ".safetensors"} <= {path.suffix for path in written}
    assert [path.name for path in written if b"barrier" in path.read_bytes().lower()] == []
    if made.target.unit != "eV":
        texts = [path for path in written if path.suffix in {".csv", ".json", ".extxyz", ".graphml"}]
        assert [path.name for path in texts if re.search(r"_ev\b|\beV\b", path.read_text())] == []


def test_every_output_names_it_with_its_unit(made: Made) -> None:
    target = made.target
    assert f"predicted {target.word}" in made.said
    assert target.unit in made.said
    for name in ("mask/summary.json", "signed/summary.json", "all/summary.json", "predictions.json"):
        text = (made.folder / name).read_text()
        assert target.name in text, name
        assert target.unit in text, name
    for figure in [*made.folder.rglob("*.html")]:
        raw = figure.read_text(encoding="utf-8")
        assert target.word in raw, figure.name
        assert target.unit in raw or json.dumps(target.unit)[1:-1] in raw, figure.name
    summary = json.loads((made.folder / "mask" / "summary.json").read_text())
    assert summary[target.key(f"known_{target.slug}")] == pytest.approx(float(made.glass.arrays[target.array][ATOM]))
    assert target.column(target.slug) in pd.read_csv(made.folder / "predictions.csv")
    assert set(pd.read_csv(made.folder / "many" / "summary.csv")["target_unit"]) == {target.unit}
    exported = read_glass(made.folder / "mask" / "glass.extxyz")
    assert {target.predicted_array, target.array} <= set(exported.arrays)


UNITLESS = {
    *(
        "file",
        "atom",
        "id",
        "species",
        "rank",
        "source",
        "hop",
        "self_loop",
        "shell",
        "cycles",
        "target",
        "target_unit",
    ),
    *("domain", "disputed", "epoch", "training_loss", "validation_pearson", "validation_spearman"),
    *(
        "family",
        "name",
        "unit",
        "n",
        "compared_with",
        "effect",
        "effect_low",
        "effect_high",
        "effect_is",
        "p_value",
        "q_value",
    ),
    *("n_edges", "n_units", "n_important", "mean_hop", "out_of_distribution", "seconds"),
    *("fraction_short_range", "fraction_medium_range"),
    *(f"{name}{end}" for name in ("observed", "expected", "difference") for end in ("", "_low", "_high")),
}
"""Headings of numbers without a unit, of words, and of numbers whose unit stands in their row."""


def test_every_heading_says_the_unit_of_its_numbers(made: Made) -> None:
    units = (f"_{made.target.unit}", "_angstrom", "_angstrom3", "_kB")
    tables = set(made.folder.rglob("*.csv"))
    assert len(tables) > 7
    for path in tables:
        bare = [name for name in pd.read_csv(path) if not name.endswith(units)]
        counted = [name for name in bare if name.startswith(("cycles_", "motif: ", "network: "))]
        mask_values = ["score"] if path.parent.name == "mask" else []
        assert set(bare) - {*counted, *mask_values} <= UNITLESS, path
    edges = {name: pd.read_csv(made.folder / name / "edges.csv") for name in ("mask", "signed")}
    assert "score" in edges["mask"]
    assert made.target.column("score") in edges["signed"]
    statistics = pd.read_csv(made.folder / "all" / "statistics.csv").set_index("name")["unit"]
    assert set(statistics[["mean_distance"]]) == {"angstrom"}


def test_metrics_and_tolerance_are_those_of_the_known_atoms(made: Made) -> None:
    predictor = Predictor.load(made.weights)
    labels = made.glass.arrays[made.target.array]
    assert predictor.target == replace(made.target, tolerance=predictor.target.tolerance)
    assert predictor.target.tolerance == pytest.approx(np.nanstd(made.training) / 4, rel=1e-6)
    [stated] = predictor.card["metrics"]["validation"].values()
    expected = regression_metrics(predictor.predict(made.glass)[UNKNOWN:], labels[UNKNOWN:])
    assert stated == pytest.approx(expected, rel=1e-4)
    assert made.target.array not in predictor.card["training_settings"]["auxiliary"]


def test_explanations_carry_it_into_files_and_back(made: Made) -> None:
    read = AtomExplanation.load(made.folder / "mask" / "explanation.json")
    predictor = Predictor.load(made.weights)
    assert read.quantity == predictor.target
    assert read.fidelity is not None
    assert read.fidelity.quantity == predictor.target
    assert made.target.unit in repr(read)
    earlier = {name: value for name, value in read.to_dict().items() if name != "quantity"} | {"format_version": 2}
    assert AtomExplanation.from_dict(earlier).quantity == BARRIER
    with pytest.raises(InputError, match="is damaged"):
        AtomExplanation.from_dict(read.to_dict() | {"quantity": {"name": "<b>"}})


def test_figures_name_it(made: Made) -> None:
    predictor = Predictor.load(made.weights)
    target, prepared = predictor.target, prepare(predictor, made.glass)
    from symgnn_explain.explain import explain_positions

    for figure in (
        prediction_histogram(made.glass, prepared.predictions, atom=ATOM, target=target),
        parity_figure(made.glass, prepared.predictions, target=target),
        position_figure(made.glass, explain_positions(prepared, ATOM)),
    ):
        text = str(figure.to_dict())
        assert "barrier" not in text.lower()
        assert target.word in text
        assert target.unit in text


def texts_of(widget: Widget) -> Iterator[str]:
    """All that a widget and those inside of it send to the page, but for programs."""
    yield str({name: value for name, value in widget.get_state().items() if name not in {"_esm", "_css"}})
    for child in getattr(widget, "children", ()):
        yield from texts_of(child)


def test_no_panel_of_the_explorer_calls_it_a_barrier(made: Made, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explorer = GlassExplorer(made.glass, Predictor.load(made.weights))
        session, texts = explorer.session, list[str]()
        session.method = "gnnexplainer" if made.target.unit == "eV" else "saliency"  # a mask, and signed contributions
        explorer.select(ATOM)
        explorer.explain(wait=True)
        for title in explorer.tabs.every:
            explorer.tabs.open(title)
        texts += texts_of(explorer.ui)
        for name in session.colour_choices:
            session.colour_by = name
            texts += texts_of(explorer.view.ui)
        for name, box in explorer.export.formats.items():
            box.value = name not in {"png", "svg", "pdf"}
        explorer.export.folder.value = str(tmp_path)
        texts += [
            f"{path.name} {path.read_bytes().decode(errors='ignore')}" for path in explorer.export.start(wait=True)
        ]
        session.select_words(f"{made.target.array} > {np.median(session.predictions)}")
        assert session.error == ""
        explorer.close()
    assert [
        text[max(0, text.lower().find("barrier") - 80) :][:200] for text in texts if "barrier" in text.lower()
    ] == []
    together = "\n".join(texts)
    assert f"Predicted {made.target.word}" in together
    assert made.target.unit in together


class TestTarget:
    def test_the_barrier_keeps_its_words_and_digits(self) -> None:
        assert BARRIER.text(1.23456) == "1.235 eV"
        assert BARRIER.text(-0.0001, sign=True) == "+0.000 eV"
        assert BARRIER.text(1.23456, coarse=True) == "1.23 eV"
        assert (BARRIER.predicted_array, BARRIER.column("barrier"), BARRIER.key("prediction")) == (
            "predicted_barrier",
            "barrier_eV",
            "prediction_ev",
        )
        assert BARRIER.tolerance_text == "0.05 eV"

    def test_weights_and_files_without_one_are_of_barriers(self) -> None:
        assert Predictor.load().target == Target.from_dict(None) == BARRIER

    @pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e4, 1e12])
    def test_two_numbers_a_tolerance_apart_are_written_apart(self, scale: float) -> None:
        target = Target("propensity", tolerance=scale)
        for value in (0.0, 3.3 * scale):
            assert target.number(value) != target.number(value + scale)

    @pytest.mark.parametrize(
        "given", [{"name": "<b>"}, {"name": ""}, {"unit": "a&b"}, {"array": "x\ny"}, {"name": "n" * 99}, {"symbol": 3}]
    )
    def test_markup_is_refused(self, given: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="the target's"):
            Target(**({"name": "D2min"} | given))

    @pytest.mark.parametrize("tolerance", [0.0, -1.0, np.nan, np.inf, True, "1"])
    def test_a_tolerance_is_a_positive_number(self, tolerance: Any) -> None:
        with pytest.raises(InputError, match="give a positive number"):
            Target("D2min", tolerance=tolerance)

    def test_labels_are_one_number_an_atom(self, glass: Glass) -> None:
        target = Target("D2min", unit="Å²")
        values = np.full(len(glass), np.nan)
        assert target.labels(glass) is None
        assert target.labels(glass.with_arrays(D2min=values)) is None
        for wrong in (np.ones((len(glass), 3)), np.full(len(glass), "a"), np.full(len(glass), np.inf)):
            with pytest.raises(InputError, match="D2min"):
                target.labels(glass.with_arrays(D2min=wrong))
        with pytest.raises(InputError, match="has no known D2min values"):
            target.require_labels(glass)
        assert target.label(glass.with_arrays(D2min=np.arange(len(glass))), 3) == 3.0

    def test_settings_take_its_tolerance(self, glass: Glass, tiny_predictor: Predictor) -> None:
        other = Predictor(tiny_predictor.model, target=Target("D2min", unit="Å²", tolerance=0.4), device="cpu")
        found = explain_atom(other, glass, 3, "gnnexplainer_nested", epochs=3)
        assert found.settings["tolerance"] == 0.4
        assert explain_atom(tiny_predictor, glass, 3, "gnnexplainer_nested", epochs=3).settings["tolerance"] == 0.05
        assert with_tolerance(BARRIER, other.target) is BARRIER

    def test_words_select_by_it(self, glass: Glass) -> None:
        carrying = glass.with_arrays(D2min=np.arange(len(glass), dtype=float))
        predicted = np.arange(len(glass), dtype=float)[::-1]

        def chosen(words: str) -> list[int]:
            return select_atoms(carrying, words, predictions=predicted, label="D2min").tolist()

        assert chosen("lowest:2") == [len(glass) - 1, len(glass) - 2]
        assert chosen("prediction < 1") == chosen("D2min < 1") == [len(glass) - 1]
        assert chosen("known_D2min < 1") == [0]
        with pytest.raises(InputError, match="write 'highest'"):
            chosen("hardest:2")


@pytest.mark.parametrize(("unit", "offered"), [("eV", True), ("meV", False)])
def test_computed_barriers_stand_beside_predictions_of_their_unit_alone(
    glass: Glass, tiny_predictor: Predictor, unit: str, offered: bool
) -> None:
    target = replace(BARRIER, unit=unit)
    assert target.is_barrier
    known = glass.with_arrays(computed_barrier=np.ones(len(glass)))
    explorer = GlassExplorer(known, Predictor(tiny_predictor.model, target=target))
    assert ("Barrier" in explorer.tabs.every) is offered
    assert ("error against computed" in explorer.session.colour_choices) is offered
    explorer.close()
