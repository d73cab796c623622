from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import symgnn_explain
from symgnn_explain import datasets
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.selection import select_atoms

STAND_IN = (
    b"2\n"
    b'Lattice="6 0 0 0 6 0 0 0 6" Properties=species:S:1:pos:R:3:barrier:R:1 pbc="T T T"\n'
    b"Cu 0 0 0 1.5\nZr 3 3 3 1.7\n"
)
SHARED_README = Path(__file__).resolve().parents[2] / "shared" / "data" / "README.md"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> str:
    """A made-up registry of one small file, so that no test needs the published ones."""
    monkeypatch.setattr(datasets, "SHA256", {"train0": hashlib.sha256(STAND_IN).hexdigest()})
    monkeypatch.setattr(datasets, "read_glass", lambda path: _read(Path(path)))
    return "train0.pickle"


def _read(path: Path) -> Glass:
    assert path.read_bytes() == STAND_IN
    return Glass(positions=[[0, 0, 0], [3, 3, 3]], numbers=[29, 40], cell=np.eye(3) * 6, name=path.stem)


class TestFolder:
    @pytest.fixture(autouse=True)
    def no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            pytest.fail("a folder was named, but the network was asked")

        monkeypatch.setattr(datasets, "_download", refuse)

    def test_wins_over_the_network(self, stand_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / stand_in).write_bytes(STAND_IN)
        monkeypatch.setenv(datasets.DATA_FOLDER_VARIABLE, str(tmp_path))
        [glass] = datasets.load_published(["train0"])
        assert glass.name == "train0"

    def test_missing_file(self, stand_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(datasets.DATA_FOLDER_VARIABLE, str(tmp_path))
        with pytest.raises(InputError, match=f"{stand_in} is not in .* SYMGNN_EXPLAIN_DATA: put .* or unset") as error:
            datasets.load_published(["train0"])
        assert "\n" not in str(error.value)

    def test_other_content(self, stand_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / stand_in).write_bytes(STAND_IN + b" ")
        monkeypatch.setenv(datasets.DATA_FOLDER_VARIABLE, str(tmp_path))
        with pytest.raises(InputError, match="is not the published file: its SHA-256 differs"):
            datasets.load_published(["train0"])


class TestDownload:
    @pytest.fixture
    def server(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A server on this machine in place of the authors' repository, and an empty cache."""
        served = tmp_path / "served"
        served.mkdir()

        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as running:
            thread = threading.Thread(target=running.serve_forever)
            thread.start()
            monkeypatch.setattr(datasets, "_AUTHORS_URL", f"http://127.0.0.1:{running.server_port}/")
            monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
            monkeypatch.delenv(datasets.DATA_FOLDER_VARIABLE, raising=False)
            yield served
            running.shutdown()
            thread.join()

    def test_happens_once(self, server: Path, stand_in: str) -> None:
        (server / stand_in).write_bytes(STAND_IN)
        assert datasets.load_published(["train0"])[0].name == "train0"
        (server / stand_in).unlink()
        assert datasets.load_published(["train0"])[0].name == "train0"

    def test_of_another_file_is_refused_and_not_kept(self, server: Path, stand_in: str, tmp_path: Path) -> None:
        (server / stand_in).write_bytes(STAND_IN[:-5])
        with pytest.raises(InputError, match=f"{stand_in} cannot be downloaded from http://127.*SHA") as error:
            datasets.load_published(["train0"])
        assert "\n" not in str(error.value)
        assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]

    @pytest.mark.usefixtures("server", "stand_in")
    def test_of_a_missing_file(self) -> None:
        with pytest.raises(InputError, match=r"404.*check the network, or set SYMGNN_EXPLAIN_DATA"):
            datasets.load_published(["train0"])

    @pytest.mark.usefixtures("server", "stand_in")
    def test_without_a_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(datasets, "_AUTHORS_URL", "http://127.0.0.1:1/")
        with pytest.raises(InputError, match="cannot be downloaded") as error:
            datasets.load_published(["train0"])
        assert "\n" not in str(error.value)


class TestNames:
    def test_unknown_split(self) -> None:
        with pytest.raises(InputError, match="split='validation' is unknown"):
            datasets.cu64zr36("validation")  # type: ignore[arg-type]

    def test_unknown_glass(self) -> None:
        with pytest.raises(InputError, match="no published glass is called train7: choose from test0"):
            datasets.load_published(["train0", "train7"])

    @pytest.mark.parametrize(("split", "expected"), [("train", 7), ("test", 2)])
    def test_splits_hold_their_glasses(self, split: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        monkeypatch.setattr(datasets, "load_published", lambda names: asked.extend(names) or [])
        datasets.cu64zr36(split)  # type: ignore[arg-type]
        assert asked == [f"{split}{number}" for number in range(expected)]


def test_hashes_are_those_on_record() -> None:
    if not SHARED_README.is_file():
        pytest.skip(f"the record of the authors' files is not here ({SHARED_README.name} beside the published data)")
    recorded = dict(
        reversed(found)
        for found in re.findall(r"^([0-9a-f]{64})  (\w+)\.pickle$", SHARED_README.read_text(), re.MULTILINE)
    )
    assert recorded == datasets.SHA256


def test_published_glasses(published: Callable[[str], Glass]) -> None:
    glass = published("train6")
    assert len(glass) == 8000
    assert glass.barriers is not None
    assert glass.barriers.mean() == pytest.approx(1.288, abs=1e-3)
    assert glass.number_density == pytest.approx(0.063, abs=1e-3)


@pytest.mark.parametrize(
    ("composition", "formula"), [("cu64zr36", "Cu1920Zr1080"), ("cu80zr20", "Cu800Zr200"), ("cu50zr50", "Cu500Zr500")]
)
def test_samples(composition: str, formula: str) -> None:
    glass = datasets.sample(composition)
    assert glass.formula == formula
    assert glass.name == f"{composition}_sample"
    assert 0.055 < glass.number_density < 0.075
    assert glass.displacements_from(0)[1:].any(axis=1).all()
    table = datasets.sample_barriers(composition)
    known = np.flatnonzero(np.isfinite(glass.arrays[datasets.COMPUTED_ARRAY]))
    assert known.tolist() == sorted(table["atom"][table["saddles"] > 0])
    # Each row is what its saddles say.
    for row in table[table["saddles"] > 1].to_dict("records"):
        saddles = np.array(row["barriers_eV"].split(), dtype=float)
        assert len(saddles) == row["saddles"] <= row["searches"]
        assert row["barrier_eV"] == pytest.approx(saddles.mean(), abs=2e-4)
        assert row["standard_error_eV"] == pytest.approx(saddles.std(ddof=1) / np.sqrt(len(saddles)), abs=2e-4)
        assert glass.arrays[datasets.COMPUTED_ARRAY][row["atom"]] == row["barrier_eV"]
    assert (table["saddles"] > 0).mean() > 0.9


@pytest.mark.parametrize("composition", datasets.SAMPLES)
def test_computed_barriers_are_a_random_sample_and_say_how_they_were_made(composition: str) -> None:
    glass, table = datasets.sample(composition), datasets.sample_barriers(composition)
    data = Path(symgnn_explain.__file__).parent / "data"
    content = (data / datasets.barrier_file(composition)).read_bytes()
    card = json.loads((data / datasets.barrier_file(composition)).with_suffix(".json").read_text(encoding="utf-8"))
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["run"]["glass"]["sha256"] == glass.content_hash
    drawn = select_atoms(glass, f"random:{len(table)}", seed=card["run"]["settings"]["seed"])
    assert table["atom"].tolist() == drawn.tolist()
    assert set(table["searches"]) == {card["run"]["settings"]["searches"]}


def test_unknown_sample() -> None:
    with pytest.raises(InputError, match="no embedded glass is called 'cu46zr54': choose from cu64zr36, cu80zr20"):
        datasets.sample("cu46zr54")
