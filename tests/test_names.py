"""Names that a user finds by tab completion lead to what the packages hold."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules, walk_packages

import numpy as np

import symgnn_explain
from symgnn_explain.explain import explain_atom
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.selection import select_atoms


def test_completion_shows_packages_and_the_names_of_every_day() -> None:
    assert dir(symgnn_explain) == sorted(symgnn_explain.__all__)
    for name in symgnn_explain.__all__:
        assert getattr(symgnn_explain, name) is not None
    assert symgnn_explain.analysis is import_module("symgnn_explain.analysis")


def test_no_name_is_a_package_and_a_function() -> None:
    """What a package exports is not also the name of a package, at any level, nor of one of its modules."""
    packages = [module.name for module in walk_packages(symgnn_explain.__path__, "symgnn_explain.") if module.ispkg]
    words = {name.rpartition(".")[2] for name in packages}
    for name in packages:
        package = import_module(name)
        modules = {module.name for module in iter_modules(package.__path__)}
        assert not words.union(modules) & set(getattr(package, "__all__", ())), name


def test_a_prepared_glass_explains_its_atoms(glass: Glass, tiny_predictor: Predictor) -> None:
    prepared = symgnn_explain.prepare(tiny_predictor, glass)
    short = prepared.explain(7, "integrated_gradients", unit="atom")
    whole = explain_atom(tiny_predictor, glass, 7, "integrated_gradients", unit="atom")
    np.testing.assert_array_equal(short.score, whole.score)
    frame = short.to_frame()
    assert len(frame) == len(short)
    assert frame["score"].abs().is_monotonic_decreasing
    markers = [trace for trace in short.plot(glass, k=5).data if trace.customdata is not None]
    assert markers


def test_a_glass_selects_its_atoms_by_words(glass: Glass) -> None:
    np.testing.assert_array_equal(glass.select("species Zr"), select_atoms(glass, "species Zr"))
    assert set(glass.numbers[glass.select("species Zr")]) == {40}
    assert glass.select("random:3", seed=4).tolist() == select_atoms(glass, "random:3", seed=4).tolist()
