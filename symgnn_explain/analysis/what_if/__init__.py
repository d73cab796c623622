"""What would be if the structure were another one: edits, their predictions, counterfactuals, and what physics says."""
