"""The networks: layers, SymGNN, its transformations, and trained predictors in memory and on disk."""
