"""Sanity: whether scores are about the network at all."""
