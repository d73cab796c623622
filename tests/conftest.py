"""What the tests share: small glasses, a tiny network, and where the published data is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from symgnn_explain import datasets
from symgnn_explain.cli import main
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph

Refused = Callable[..., str]

ROOT = Path(__file__).resolve().parents[1]
LOCAL_DATA = ROOT.parent / "shared" / "data" / "cu64zr36"
DENSITY = 0.063  # atoms/Å³, that of Cu64Zr36

if LOCAL_DATA.is_dir():
    os.environ.setdefault(datasets.DATA_FOLDER_VARIABLE, str(LOCAL_DATA))


FUZZ_VARIABLE = "SYMGNN_EXPLAIN_FUZZ"
"""Environment variable: property tests alone, each with so many times its examples, drawn anew (``make fuzz``).

Without it examples are the same in every run and may take any time, so that a test fails for what was changed, and
not by chance.
"""

settings.register_profile("fixed", derandomize=True, deadline=None)
if FUZZ_VARIABLE not in os.environ:
    settings.load_profile("fixed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that drive a browser last: Playwright's event loop runs from its start to the session's end.

    Until then no loop runs in the main thread, as other tests expect.
    """
    if FUZZ_VARIABLE in os.environ:
        items[:] = [item for item in items if _with_more_examples(item, int(os.environ[FUZZ_VARIABLE]))]
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def _with_more_examples(item: pytest.Item, times: int) -> bool:
    """Multiply the examples of a property test; return whether it is one."""
    test: Any = getattr(getattr(item, "obj", None), "__func__", getattr(item, "obj", None))
    if not hasattr(test, "hypothesis"):
        return False
    name = "_hypothesis_internal_use_settings"  # where @settings leaves them
    chosen: settings = getattr(test, name, settings())
    if "fuzzed" not in vars(test):  # one of several sets of parameters, which share the function
        test.fuzzed = True
        more = chosen.max_examples * times
        setattr(test, name, settings(chosen, max_examples=more, deadline=None, suppress_health_check=list(HealthCheck)))
    return True


def make_random_glass(
    n_side: int = 5,
    *,
    seed: int = 0,
    shear: float = 0.0,
    barriers: bool = True,
    species: tuple[int, ...] = (29, 40),
    pbc: bool | tuple[bool, bool, bool] = True,
) -> Glass:
    """A disordered Cu-Zr crystal of ``n_side``³ atoms at a glass's density; no two atoms are closer than 1.5 Å.

    ``shear`` tilts the cell: its second and third vectors lean by that fraction of the edge length.
    """
    rng = np.random.default_rng(seed)
    spacing = DENSITY ** (-1 / 3)
    edge = n_side * spacing
    cell = edge * np.array([[1.0, 0.0, 0.0], [shear, 1.0, 0.0], [shear / 2, shear, 1.0]])
    grid = np.stack(np.meshgrid(*[np.arange(n_side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) / n_side
    largest_shift = 0.28 if shear == 0 else 0.15
    shift = rng.uniform(-largest_shift, largest_shift, grid.shape) / np.sqrt(3) * spacing
    return Glass(
        positions=grid @ cell + shift,
        numbers=rng.choice(species, size=len(grid), p=(0.64, 0.36) if len(species) == 2 else None),
        cell=cell,
        pbc=np.broadcast_to(pbc, 3),
        barriers=rng.normal(1.6, 0.3, len(grid)) if barriers else None,
        name="random",
    )


def make_tiny_predictor(seed: int = 0, **config: object) -> Predictor:
    """An untrained predictor of a few hundred weights, two hops deep unless told otherwise.

    Its normalisation layers have seen a glass, so that predictions differ from atom to atom as a trained network's do.
    """
    settings = {"dim": 8, "heads": (2, 1), "inference_samples": 3, "decoder_layers": 1, "dropout": 0.0, **config}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SymGNN(SymGNNConfig(**settings))  # type: ignore[arg-type]
        seen = build_graph(make_random_glass(4), cutoff=model.config.cutoff, species=("Cu", "Zr"))
        channels = torch.nn.functional.pad(seen.x, (0, len(model.config.species) - 2))
        normalisations = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)]
        for module in normalisations:
            module.momentum = 1.0
        with torch.no_grad():
            model.train()(channels, seen.edge_index, seen.edge_attr)
        for module in normalisations:
            module.momentum = 0.1
    model.label_mean.fill_(1.6)
    model.label_scale.fill_(0.3)
    return Predictor(model, device="cpu")


@pytest.fixture(scope="session")
def random_glass() -> Callable[..., Glass]:
    """Builder of small disordered glasses, see :func:`make_random_glass`."""
    return make_random_glass


@pytest.fixture
def glass() -> Glass:
    """A disordered glass of 216 atoms with barriers, 15 Å across."""
    return make_random_glass(6)


@pytest.fixture(scope="session")
def tiny_predictor() -> Predictor:
    """An untrained two-hop predictor on the CPU; tests must leave it as it is."""
    return make_tiny_predictor()


@pytest.fixture(scope="session")
def make_predictor() -> Callable[..., Predictor]:
    """Builder of tiny predictors with other hyperparameters, see :func:`make_tiny_predictor`."""
    return make_tiny_predictor


@pytest.fixture(scope="session")
def tiny_weights(tiny_predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny predictor on disk."""
    return tiny_predictor.save(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="session")
def published() -> Callable[[str], Glass]:
    """Loader of one published training glass by name; skips where the files are not at hand, never downloads."""
    folder = os.environ.get(datasets.DATA_FOLDER_VARIABLE)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"the published glasses are not here: set {datasets.DATA_FOLDER_VARIABLE} to their folder")
    cache: dict[str, Glass] = {}

    def load(name: str = "train0") -> Glass:
        if name not in cache:
            [cache[name]] = datasets.load_published([name])
        return cache[name]

    return load


def everything_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def refused(tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run ``predict`` on a file, check that it is refused as it should be, and return the sentence."""

    def run(path: Path, *options: str, out: Path | None = None, weights: Path = tiny_weights) -> str:
        before = everything_below(tmp_path)
        arguments = ["predict", str(path), "--out", str(out or tmp_path / "out.csv"), "--weights", str(weights)]
        status = main([*arguments, *options])
        said = capsys.readouterr()
        assert status == 2
        assert said.out == ""
        assert re.fullmatch(r"[^\n]+\.\n", said.err)
        assert "Traceback" not in said.err
        assert everything_below(tmp_path) == before
        return said.err

    return run
