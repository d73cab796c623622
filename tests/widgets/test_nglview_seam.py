"""nglview is as the seam to it says: these fail where another version is not."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest

from symgnn_widgets.views.stage import TESTED_NGLVIEW, Stage, nglview_bundle

nglview = pytest.importorskip("nglview")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(Stage, "send", lambda _self, message: messages.append(message))
    return messages


@pytest.fixture
def stage() -> Stage:
    def nothing(*_told: object) -> None:
        pass

    return Stage(on_ready=nothing, on_pick=nothing, on_picture=nothing, on_failure=nothing)


def test_the_installed_version_is_a_tested_one() -> None:
    assert version("nglview") in TESTED_NGLVIEW


def test_the_traits_are_those_of_the_view(stage: Stage) -> None:
    theirs = nglview.NGLWidget.class_traits(sync=True)
    ours = {name for name in stage.traits(sync=True) if not hasattr(type(stage).__mro__[1], name)}
    assert {"_camera_orientation", "_ngl_view_id", "_iplayer"} < ours < set(theirs)
    for name in ("_model_name", "_view_name", "_model_module", "_view_module"):
        assert getattr(stage, name) == theirs[name].default_value
    bundle = nglview_bundle()
    assert all(f'"{name}"' in bundle for name in ours)


def test_code_is_sent_as_nglview_sends_it(stage: Stage, sent: list[dict[str, Any]]) -> None:
    stage.set_scene("glass", "load", positions="")
    [message] = sent
    theirs = nglview.NGLWidget._get_remote_call_msg(stage, "executeCode", args=message["args"])
    assert message == {name: theirs[name] for name in message}


def test_the_bundle_exports_ngl_and_names_the_messages() -> None:
    bundle = nglview_bundle()
    assert 'define(["@jupyter-widgets/base"]' in bundle
    assert "module.exports={NGLView,NGLModel,NGL," in bundle
    assert "executeCode(code){eval(code)}" in bundle
    assert '{type:"updateIDs",data:' in bundle


def test_a_view_that_fails_names_the_tested_versions(stage: Stage, sent: list[dict[str, Any]]) -> None:
    stage.receive(stage, {"type": "updateIDs", "data": ["page"]}, [])
    [code] = sent[0]["args"]
    assert code.startswith("try {")
    assert f"the tested versions {' and '.join(TESTED_NGLVIEW)}" in code
