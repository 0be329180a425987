"""The Grafana dashboard asks for what is counted, under the names that Prometheus sees."""

import json
import re
from pathlib import Path

import pytest

from serve import telemetry

DASHBOARD = json.loads((Path(__file__).parents[2] / "serve" / "grafana.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.fixture
def exported(monkeypatch):
    """Labels of each of our metrics, by the name that Ray exports it under."""
    found = {}

    def metric(*suffixes):
        return lambda name, description, tag_keys=(), **_: found.update({f"ray_{name}{suffix}": {*tag_keys, "le"} for suffix in suffixes})

    monkeypatch.setattr(telemetry.metrics, "Counter", metric("_total"))
    monkeypatch.setattr(telemetry.metrics, "Histogram", metric("_bucket", "_sum", "_count"))
    telemetry.Telemetry()
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_panel_shows_what_there_is(expression, exported):
    names = set(re.findall(r"ray_drugasr_\w+", expression))
    assert names <= set(exported)
    labels = set(re.findall(r"(\w+)=~?\"", expression)) | {label for by in re.findall(r"by \((.*?)\)", expression) for label in by.split(", ")}
    for name in names:
        assert labels <= exported[name]
    assert expression.count("(") == expression.count(")")


def test_every_metric_is_shown(exported):
    shown = set(re.findall(r"ray_drugasr_\w+", " ".join(EXPRESSIONS)))
    assert {name for name in exported if name.endswith(("_total", "_bucket"))} == shown


def test_panels_have_a_place_of_their_own():
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places) and len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
