"""The options of the verbs, each declared once; those that belong together are a group, which a verb takes as one.

A verb that is decorated with :func:`grouped` names groups among its parameters: the command line shows the options of
each, and the verb gets one object that does what they are for.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symgnn_explain.cli.output import progress_bar
from symgnn_explain.errors import InputError
from symgnn_explain.runs.names import one_line_name

if TYPE_CHECKING:
    from symgnn_explain.models.predictor import Predictor
    from symgnn_explain.models.target import Target
    from symgnn_explain.structure.glass import Glass

DEFAULT_PRESET = "accurate"  # what ``train`` and ``cross-validate`` train where nothing else is named
LONGEST_NUMBER = 9  # digits of a whole number in a list
SAMPLE = "sample"  # stands for the embedded glass wherever a file is expected


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


_STRUCTURE = typer.Argument(
    metavar="FILE", show_default=False, help="Extended XYZ, LAMMPS data or dump, POSCAR, CIF, …"
)
File = Annotated[str, _STRUCTURE]
Files = Annotated[list[str], _STRUCTURE]
TrainingFiles = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE…]", show_default=False, help="Glasses; default: the published training glasses."),
]
AtomOption = Annotated[int, typer.Option(metavar="N", show_default=False, help="Index of the atom, from 0.")]
EdgesOption = Annotated[int, typer.Option("--k", metavar="K", help="How many of the most important edges to show.")]
PresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        help="Network and hyperparameters: accurate, symgnn or paper, a SymGNN; or a baseline, such as schnet; "
        f"default: {DEFAULT_PRESET}.",
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(metavar="N", show_default=False, help="Passes over the glasses; default: the preset's."),
]
SeedOption = Annotated[int, typer.Option(metavar="N", min=0, help="The same seed, the same result.")]
SeedsOption = Annotated[str, typer.Option(metavar="N,N,…", help="Each fold is trained with each of them.")]
RunsOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the runs; interrupted ones resume.")]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method, such as epochs=200; repeatable."),
]
DeviceOption = Annotated[Device, typer.Option(metavar="auto|cpu|cuda", help="Where the network runs.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace what --out names where it holds results; without it they stay.")
]
PotentialOption = Annotated[
    Path | None,
    typer.Option(
        metavar="F",
        show_default=False,
        help="LAMMPS eam.fs or eam.alloy file; default: the file that SYMGNN_EXPLAIN_POTENTIAL names, or that of "
        "Mendelev, Kramer and Ott (2009) in an installed openkim-models.",
    ),
]
FilmOption = Annotated[
    Path | None,
    typer.Option(
        "--film",
        metavar="F",
        show_default=False,
        help="Also write a film: .gif, .webp, or .mp4 where ffmpeg is installed. It needs Chrome or Chromium.",
    ),
]


WorkersOption = Annotated[int, typer.Option("--workers", metavar="N", help="Processes, with one thread each.")]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        show_default=False,
        help="Of a Dask cluster to compute on instead, such as tcp://host:8786.",
    ),
]


@dataclass(frozen=True)
class Format:
    """What files of structures do not say themselves."""

    species: Annotated[
        str | None, typer.Option(metavar="MAP", help='Species of the LAMMPS types, as in "1=Cu,2=Zr".')
    ] = None
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            show_default=False,
            help="Format of the files where their names do not tell: extxyz, lammps-dump-text, lammps-data, vasp, cif, "
            "pickle or another of ASE's names.",
        ),
    ] = None

    def read(self, file: str, frame: int) -> Glass:
        """Read the glass that ``FILE`` names, and say what reading has inferred."""
        from symgnn_explain import datasets
        from symgnn_explain.structure.io import notes, read_glass

        if file == SAMPLE:
            return datasets.sample()
        glass = read_glass(file, species=self.species_map(), frame=frame, format=self.format_name)
        for note in notes(glass):
            typer.echo(f"{glass.provenance['file']}: {note}", err=True)
        return glass

    def species_map(self) -> dict[int, str] | None:
        """Turn ``"1=Cu,2=Zr"`` into ``{1: "Cu", 2: "Zr"}``."""
        if self.species is None:
            return None
        species: dict[int, str] = {}
        for entry in self.species.split(","):
            kind, equals, symbol = (part.strip() for part in entry.partition("="))
            if not (equals and kind.isdecimal() and len(kind) <= LONGEST_NUMBER and symbol):
                raise InputError(
                    f'--species {self.species!r} cannot be understood at {entry!r}: expected a map like "1=Cu,2=Zr".'
                )
            if species.setdefault(int(kind), symbol) != symbol:
                raise InputError(f"--species {self.species!r} names two species for type {kind}: keep one.")
        return species


@dataclass(frozen=True)
class Reading(Format):
    """How files of structures are read."""

    frame: Annotated[int, typer.Option(metavar="N", help="Frame of a trajectory; -1 is the last.")] = -1

    def glass(self, file: str) -> Glass:
        """Read the glass that ``FILE`` names."""
        return self.read(file, self.frame)

    def glasses(self, files: Sequence[str]) -> dict[str, Glass]:
        """Read glasses by label."""
        return {label: self.glass(file) for label, file in labelled(files).items()}


def labelled(files: Sequence[str]) -> dict[str, str]:
    """Give each file a label: its name, or the path as it was given where two files have the same name."""
    names = [Path(file).name for file in files]
    labels = [one_line_name(name if names.count(name) == 1 else file) for name, file in zip(names, files, strict=True)]
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise InputError(f"{', '.join(repeated)} was given more than once: name each file once.")
    return dict(zip(labels, files, strict=True))


@dataclass(frozen=True)
class Framed(Format):
    """How files are read of which several frames may be meant."""

    frame: Annotated[
        int | None,
        typer.Option(metavar="N", show_default=False, help="One frame of a trajectory; -1 is the last."),
    ] = None
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH",
            show_default=False,
            help="Several frames: numbers and slices as in Python, such as ::10, 100:200, -10: or 0,5,-1.",
        ),
    ] = None

    def frames_of(self, file: str, otherwise: str) -> FramesOfFile:
        """Return the frames that are meant of what ``FILE`` names, and those of ``otherwise`` where none are named."""
        from symgnn_explain import datasets
        from symgnn_explain.structure.io import Trajectory, notes

        if self.frame is not None and self.frames is not None:
            raise InputError(
                f"--frame {self.frame} and --frames {self.frames} were both given: keep one, --frames takes single "
                "numbers too."
            )
        chosen = self.frames if self.frame is None else str(self.frame)
        if file == SAMPLE:
            return FramesOfFile([0], lambda: iter([(0, datasets.sample())]))
        trajectory = Trajectory(file, species=self.species_map(), format=self.format_name)
        numbers = list(trajectory.numbers(otherwise if chosen is None else chosen))
        said: set[str] = set()

        def read() -> Iterator[tuple[int, Glass]]:
            for number, glass in zip(numbers, trajectory.read(numbers), strict=True):
                for note in notes(glass):
                    if note not in said:
                        typer.echo(f"{glass.provenance['file']}: {note}", err=True)
                        said.add(note)
                yield number, glass

        return FramesOfFile(numbers, read)


@dataclass(frozen=True)
class FramesOfFile:
    """The frames of a file that are meant: their numbers, and what reads them one at a time, as often as needed."""

    numbers: Sequence[int]
    read: Callable[[], Iterator[tuple[int, Glass]]]

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[tuple[int, Glass]]:
        return self.read()

    def in_memory(self) -> FramesOfFile:
        """Read them now, and keep them."""
        kept = list(self)
        return FramesOfFile(self.numbers, lambda: iter(kept))


@dataclass(frozen=True)
class Network:
    """Which network predicts, and where."""

    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="A trained predictor (.safetensors), or the name of one that ships: accurate, or symgnn, which sees "
            "displacement vectors alone; default: accurate.",
        ),
    ] = None
    device: DeviceOption = Device.auto

    def load(self) -> Predictor:
        """Load the predictor, for a process that does little else."""
        from symgnn_explain.models.predictor import Predictor
        from symgnn_explain.runs.memory import reuse_large_allocations

        reuse_large_allocations()
        return Predictor.load(self.weights, device=self.device)


@dataclass(frozen=True)
class Explaining:
    """How predictions are explained."""

    method: Annotated[str, typer.Option(metavar="M", help="How to explain; `symgnn-explain methods` lists them.")] = (
        "integrated_gradients"
    )
    semantics: Annotated[
        str | None,
        typer.Option(
            metavar="zero|removal|reference",
            show_default=False,
            help="What masking a message means: it is zero, its edge is removed, or the mean message stands in for it; "
            "default: that of the method.",
        ),
    ] = None
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="pair|edge|bond|atom|polyhedron|shell",
            show_default=False,
            help="What is masked as one; edge and bond are messages alone; default: that of the method.",
        ),
    ] = None
    settings: SettingsOption = None
    seed: SeedOption = 0

    def chosen(self) -> dict[str, Any]:
        """Return what the functions that explain take, with settings of the types that the method declares."""
        from symgnn_explain.explain import METHODS

        if self.method not in METHODS:
            raise InputError(f"--method {self.method} is unknown: choose from {', '.join(METHODS)}.")
        kinds = typing.get_type_hints(METHODS[self.method].settings)
        seed = {"seed": self.seed} if "seed" in kinds else {}
        return seed | parsed_settings(kinds, self.settings or []) | {"semantics": self.semantics, "unit": self.unit}


@dataclass(frozen=True)
class Many:
    """Which atoms, and what works on them."""

    atoms: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            show_default=False,
            help="all, central:50, random:20, lowest:10, highest:10 (by prediction), species:Zr, numbers such as "
            "12,57, 'within 5 of 12', 'neighbours of 12', 'prediction < 1.2'; with and, or, not and brackets.",
        ),
    ]
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", show_default=False, help="Folder for the results; a run that was stopped continues."
        ),
    ]
    workers: WorkersOption = 1
    scheduler: SchedulerOption = None

    @contextmanager
    def working(self, title: str, records: Path) -> Iterator[dict[str, Any]]:
        """Give what a function takes that works on many atoms; an interruption leaves their records, and says so."""
        from symgnn_explain.runs.cluster import connected

        cluster: AbstractContextManager[Any] = nullcontext() if self.scheduler is None else connected(self.scheduler)
        try:
            with cluster as client, progress_bar(title, timing="") as advance:
                yield {"out": records, "workers": self.workers, "client": client, "progress": advance}
        except KeyboardInterrupt:
            count = len(list(records.glob("atom-*.npz")))
            print(f"{count} records are in {one_line_name(records)}; the same command continues.", file=sys.stderr)
            raise


@dataclass(frozen=True)
class Learned:
    """What is learned."""

    target: Annotated[
        str | None,
        typer.Option(
            metavar="ARRAY",
            show_default=False,
            help="Per-atom array of the files that is learned, such as D2min or potential_energy; default: barrier.",
        ),
    ] = None
    unit: Annotated[
        str | None,
        typer.Option(metavar="U", show_default=False, help="Its unit, such as Å², for figures and tables."),
    ] = None

    def quantity(self) -> Target:
        """Return it."""
        from symgnn_explain.models.target import BARRIER, Target

        return (
            BARRIER
            if self == Learned()
            else Target.of_array(BARRIER.array if self.target is None else self.target, self.unit)
        )


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """Let the command line see the options of the groups that a verb takes, in their place."""
    hints = typing.get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    shown: list[inspect.Parameter] = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.name not in groups:
            shown.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        kinds = typing.get_type_hints(groups[parameter.name], include_extras=True)
        for field in fields(groups[parameter.name]):
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            shown.append(
                inspect.Parameter(
                    field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kinds[field.name]
                )
            )

    def run(**given: Any) -> None:
        made = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind)}) for name, kind in groups.items()
        }
        verb(**given, **made)

    run.__name__, run.__doc__ = verb.__name__, verb.__doc__
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return run


def parsed_settings(kinds: Mapping[str, Any], entries: Sequence[str]) -> dict[str, Any]:
    """Turn ``key=value`` into values of the types that are declared by name; ``none``, where that is one of them."""
    chosen: dict[str, Any] = {}
    if entries and not kinds:
        raise InputError(f"--set {entries[0]} cannot be used: this method has no settings, leave it out.")
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals or key not in kinds:
            raise InputError(f"--set {entry} cannot be used: expected KEY=VALUE with a key among {', '.join(kinds)}.")
        kind = kinds[key]
        try:
            chosen[key] = {"true": True, "false": False}[text.lower()] if kind is bool else _parsed(kind, text)
        except (ValueError, KeyError) as error:
            name = getattr(kind, "__name__", str(kind))
            raise InputError(f"--set {entry} cannot be used: {key} is of type {name}.") from error
    return chosen


def _parsed(kind: Any, text: str) -> Any:
    if type(None) in typing.get_args(kind):
        [kind] = set(typing.get_args(kind)) - {type(None)}
        if text.lower() == "none":
            return None
    return kind(text) if kind in (int, float) else text


def whole_numbers(text: str, option: str) -> tuple[int, ...]:
    """Turn ``"0,1,2"`` into numbers."""
    entries = [entry.strip() for entry in text.split(",")]
    if not all(entry.isdecimal() and len(entry) <= LONGEST_NUMBER for entry in entries):
        raise InputError(f'{option} {text!r} cannot be understood: expected whole numbers like "0,1,2".')
    return tuple(int(entry) for entry in entries)
