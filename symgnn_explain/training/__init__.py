"""Training: data module, Lightning module, splits, metrics, and the command that ties them together."""
