"""Persistent homology, cycles and rings."""
