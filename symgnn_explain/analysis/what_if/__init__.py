"""What would be if the structure were another one: edits, their predictions, counterfactuals, and what physics says."""

from symgnn_explain.analysis.what_if.changes import changes_between
from symgnn_explain.analysis.what_if.counterfactuals import (
    Counterfactual,
    Counterfactuals,
    CounterfactualSettings,
    find_counterfactuals,
)
from symgnn_explain.analysis.what_if.laboratory import Step, WhatIf
from symgnn_explain.analysis.what_if.verification import Verified, verify

__all__ = [
    "Counterfactual",
    "CounterfactualSettings",
    "Counterfactuals",
    "Step",
    "Verified",
    "WhatIf",
    "changes_between",
    "find_counterfactuals",
    "verify",
]
