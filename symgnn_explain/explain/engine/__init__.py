"""The engine: one atom's prediction as an exact and fast function of a mask."""
