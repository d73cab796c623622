"""Connecting to a Dask cluster: whether a scheduler answers, and whether its workers are like this process."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from symgnn_explain.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

ANSWER_WITHIN = 10.0  # seconds that a scheduler may take to answer
_COMPARED = ("torch", "numpy", "cloudpickle", "distributed")


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to the scheduler at an address such as ``tcp://host:8786``.

    Warns with UserWarning if no worker is there yet, or the workers have other versions of packages that results depend
    on. Raises InputError if Dask is not installed, no scheduler answers there within ``ANSWER_WITHIN`` seconds, or its
    workers lack this package, or have another version of it or of Python.
    """
    try:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning
    except ImportError as error:
        raise InputError("--scheduler needs Dask: install it with pip install 'symgnn-explain[cluster]'.") from error
    _require_scheduler(address)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VersionMismatchWarning)  # said below, in one sentence
        client = Client(address, timeout=ANSWER_WITHIN)
    with client:
        versions: Any = client.get_versions(packages=["symgnn_explain", "torch"])
        _compare_versions(versions, address)
        yield client


def _require_scheduler(address: str) -> None:
    """Ask who is there before connecting for good, which some of those that are no schedulers would hang for ever."""
    try:
        found = asyncio.run(asyncio.wait_for(_identity(address), ANSWER_WITHIN))
    except TimeoutError as error:
        raise InputError(
            f"no Dask scheduler answers at --scheduler {address} within {ANSWER_WITHIN:g} s: check the address."
        ) from error
    except Exception as error:  # what is no scheduler answers anything, and is read as anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"no Dask scheduler answers at --scheduler {address} ({reason}).") from error
    kind = found.get("type") if isinstance(found, dict) else None
    if kind != "Scheduler":
        raise InputError(f"--scheduler {address} is the address of a {kind or 'stranger'}, not of a Dask scheduler.")


async def _identity(address: str) -> Any:
    from distributed.core import rpc

    async with rpc(address, timeout=ANSWER_WITHIN) as somebody:
        return await somebody.identity()


def _compare_versions(versions: Mapping[str, Any], address: str) -> None:
    here, workers = versions["client"], versions["workers"]
    if not workers:
        warnings.warn(f"No worker is connected to the scheduler at {address} yet: waiting for one.", stacklevel=4)
    for worker, there in workers.items():
        own, other = here["packages"]["symgnn_explain"], there["packages"].get("symgnn_explain")
        if other != own:
            found = "does not have symgnn_explain" if other is None else f"has symgnn_explain {other}"
            raise InputError(f"the worker {worker} {found}, expected {own}: install the same version everywhere.")
        python, others = (str(one["host"]["python"]).rsplit(".", 3)[0] for one in (here, there))
        if python != others:
            raise InputError(f"the worker {worker} runs Python {others}, this is {python}: use the same everywhere.")
    differing = {
        f"{name} {there['packages'].get(name)} instead of {here['packages'].get(name)}"
        for there in workers.values()
        for name in _COMPARED
        if there["packages"].get(name) != here["packages"].get(name)
    }
    if differing:
        warnings.warn(
            f"Workers at {address} have {', '.join(sorted(differing))}: results may differ in the last digits.",
            stacklevel=4,
        )
