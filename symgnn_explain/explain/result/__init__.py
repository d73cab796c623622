"""The result of explaining one atom: what it holds, where its atoms sit, and what it says."""
