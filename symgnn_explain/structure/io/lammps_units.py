"""Units of length of LAMMPS' unit styles."""

from __future__ import annotations

from symgnn_explain.errors import InputError

LENGTHS = {"metal": 1.0, "real": 1.0, "electron": 0.529177210903, "nano": 10.0, "micro": 1e4, "cgs": 1e8, "si": 1e10}
"""Length of one unit of distance, Å, by unit style."""


def length_in_angstrom(style: str) -> tuple[float, dict[str, str]]:
    """Return the unit of length (Å) of the style that a file names, and a note for the provenance.

    Files that name none are in Å, the unit of the styles metal and real.

    Raises
    ------
    InputError
        If lengths of that style have no meaning in Å.
    """
    style = style.strip().lower()
    if not style or LENGTHS.get(style) == 1.0:
        return 1.0, {"lammps_units": style} if style else {}
    if style not in LENGTHS:
        raise InputError(
            f"the file is in LAMMPS' units {style!r}, which have no fixed length in Å: "
            "scale positions and cell to Å first."
        )
    note = f"lengths were converted to Å from LAMMPS' units {style!r}; other columns are as in the file."
    return LENGTHS[style], {"lammps_units": style, "units": note}
