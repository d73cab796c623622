"""Training without epochs, of a model whose best coefficients are the solution of an equation."""

from __future__ import annotations

import io
import time
from pathlib import Path

import torch

from symgnn_explain.models.ensemble import predict_graph
from symgnn_explain.models.predictor import evaluation_mode
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.training.module import GlassDataModule, TrainingModule, labelled, mean_metrics


@torch.no_grad()
def solve(module: TrainingModule, data: GlassDataModule, checkpoint: Path) -> None:
    """Fit the model of ``module`` to all training glasses at once, and write a checkpoint as after a single epoch."""
    started = time.perf_counter()
    module.model.fit(data.training)
    module.training_seconds = time.perf_counter() - started
    with evaluation_mode(module.model):
        predicted = {
            side: [labelled(predict_graph(module.model, graph), graph.y) for graph in graphs]
            for side, graphs in (("training", data.training), ("validation", data.validation))
        }
    losses = [((values - known) / module.model.label_scale).square().mean() for values, known in predicted["training"]]
    means = mean_metrics(predicted["validation"]) if predicted["validation"] else {}
    module.history = [{"epoch": 1, "training_loss": float(torch.stack(losses).mean()), **means}]
    state = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams), "epoch": 0, "global_step": 0}
    module.on_save_checkpoint(state)
    stream = io.BytesIO()
    torch.save(state, stream)
    write_atomically(checkpoint, stream.getvalue())
