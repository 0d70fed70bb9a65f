"""The Grafana dashboard: it shows metrics and labels that there are, every one of ours, side by side."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import promql_parser as promql
import pytest

from tests.daemon.test_metrics_e2e import documented
from tests.fakes.daemon import ROOT
from tests.monitoring.promql import check, labels_of, metrics_in

DASHBOARD = json.loads((ROOT / "etc" / "monitoring" / "grafana-dashboard.json").read_text())
PANELS: dict[str, dict[str, Any]] = {panel["title"]: panel for panel in DASHBOARD["panels"]}
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}


def expressions(panel: dict[str, Any]) -> list[str]:
    """What a panel asks Prometheus for, once Grafana has put in its interval."""
    return [target["expr"].replace("$__rate_interval", "5m") for target in panel.get("targets", ())]


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_asks_for_what_there_is(title: str) -> None:
    for target, expression in zip(PANELS[title].get("targets", ()), expressions(PANELS[title]), strict=True):
        check(expression)
        assert set(re.findall(r"\$(\w+)", expression)) <= set(VARIABLES)
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            assert label in shown(promql.parse(expression)), f"{label} of {expression}"


def shown(expression: Any) -> set[str]:
    """The labels that the result of an expression has."""
    if isinstance(expression, promql.AggregateExpr) and expression.modifier is not None:
        return set(expression.modifier.labels)
    if isinstance(expression, promql.VectorSelector):
        return labels_of(str(expression.name)) or set()
    below = [getattr(expression, name, None) for name in ("lhs", "rhs", "expr", "vector_selector")]
    return set().union(*(shown(node) for node in [*below, *getattr(expression, "args", ())] if node))


def test_every_metric_is_shown() -> None:
    seen = {name for panel in PANELS.values() for text in expressions(panel) for name in metrics_in(text)}
    missing = {name for name in documented() if not any(one.startswith(name) for one in seen)}
    assert missing == set()


def test_variables_ask_for_what_there_is() -> None:
    for name in ("instance", "provider"):
        found = re.fullmatch(r"label_values\((\w+), (\w+)\)", VARIABLES[name]["query"]["query"])
        assert found is not None
        assert found[2] in (labels_of(found[1]) or ())


def test_ids_and_titles_are_unique() -> None:
    assert len(PANELS) == len(DASHBOARD["panels"]) == len({panel["id"] for panel in PANELS.values()})


def test_no_two_panels_overlap() -> None:
    places = [(title, panel["gridPos"]) for title, panel in PANELS.items()]
    for (one, a), (other, b) in itertools.combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, f"{one} and {other}"
        assert a["x"] + a["w"] <= 24
