"""Structures: glasses, files, neighbours, graphs, selections."""
