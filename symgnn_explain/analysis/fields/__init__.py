"""Values of atoms as fields in space."""
