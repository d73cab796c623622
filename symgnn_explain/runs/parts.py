"""Results of the parts of a long computation, kept until all are there: what was interrupted continues."""

from __future__ import annotations

import errno
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.parallel import Report, run_each
from symgnn_explain.runs.progress import PopulationProgress, Tracker
from symgnn_explain.runs.record_format import DamagedRecordError, pack, unpack
from symgnn_explain.runs.watch import CancelSignal

if TYPE_CHECKING:
    from distributed import Client


class Part(NamedTuple):
    """One part: ``key`` names what its result is of, ``work`` makes what its task takes, ``size`` its share."""

    key: str
    work: Callable[[], Any]
    size: float


class Parts:
    """Results by a name that says all they depend on, so that none is taken for another's.

    ``folder``: where they are kept; in memory where None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._blobs: dict[str, bytes] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        """Return a result; None where there is no whole one."""
        try:
            blob = self._blobs.get(key) if self.folder is None else self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        if blob is None:
            return None
        try:
            run, content = unpack(blob)
        except DamagedRecordError as error:
            warnings.warn(f"{self._path(key)} is not whole ({error}); it is computed anew.", stacklevel=2)
            return None
        return content if run == key else None

    def put(self, key: str, content: Mapping[str, Any]) -> None:
        """Keep a result; raises InputError where nothing can be written."""
        if self.folder is None:
            self._blobs[key] = pack(key, content)
        else:
            write_atomically(self._path(key), pack(key, content))

    def __len__(self) -> int:
        return len(self._blobs) if self.folder is None else len(list(self.folder.glob("part-*.npz")))

    def aside(self, name: str) -> Path:
        """Return a folder for what the parts are computed from, which is kept as long as they are."""
        return (self.folder or Path()) / f"aside-{name}"

    def discard(self) -> None:
        """Remove them and the folders :meth:`aside`, and the folder itself unless it holds what others put there."""
        self._blobs.clear()
        if self.folder is None or not self.folder.is_dir():
            return
        for path in [*self.folder.glob("part-*.npz"), *self.folder.glob("aside-*")]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}:  # others use it, or were quicker
                raise

    def _path(self, key: str) -> Path:
        return (self.folder or Path()) / f"part-{key}.npz"


def compute_parts(
    task: Callable[[Any, Any, Report], Mapping[str, Any]],
    shared: Any,
    wanted: Iterable[Part],
    parts: Parts,
    *,
    total: float,
    what: str,
    workers: int = 1,
    client: Client | None = None,
    progress: Callable[[PopulationProgress], None] | None = None,
    cancel: CancelSignal | None = None,
) -> None:
    """Compute and keep the parts that are missing, each as soon as it is done.

    ``task``, ``shared``, ``workers``, ``client``: of :func:`~.parallel.run_each`; what a part's ``work`` makes is a
    task's item. ``wanted``: looked through once, as
    far as workers are free. ``total``: the sum of all sizes, which are counted in ``what``. Raises what a task raises;
    Cancelled where it was asked to stop. What was computed is kept.
    """
    tracker = Tracker(total, total, progress, warms_up=workers > 1 or client is not None, what=what)

    def missing() -> Iterator[tuple[str, float, Any]]:
        for part in wanted:
            if parts.get(part.key) is None:
                yield part.key, part.size, part.work()
            else:
                tracker.found(part.size)

    size = 0.0
    outcomes = run_each(
        lambda given, item, report: task(given, item[-1], report),
        shared,
        missing(),
        workers=workers,
        client=client,
        report=lambda fraction: tracker.part(fraction * size),
        cancelled=(lambda: False) if cancel is None else cancel.is_set,
    )
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            key, size, _ = outcome.item  # the size is the best guess at that of the next one, too
            parts.put(key, outcome.result or {})
            tracker.finished(size)
