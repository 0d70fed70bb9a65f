"""The alert rules: they name what there is, and fire when they should and only then."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.daemon import ROOT
from tests.monitoring.promql import check

RULES = ROOT / "etc" / "monitoring" / "prometheus-rules.yaml"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}


@dataclass(frozen=True)
class Case:
    """What is scraped once a minute for an hour: values of a healthy gateway, and of one in trouble."""

    series: str
    healthy: str
    trouble: str
    beside: tuple[tuple[str, str], ...] = ()
    """Further series and their values, the same in both."""


BUSY = ("coo_llm_requests_total{instance='gw',client='a',status='200'}", "0+600x60")
CASES = {
    "CooLlmDown": Case("up{job='coo-llm',instance='gw'}", "1x60", "1x50 0x10"),
    "CooLlmSupervisorSilent": Case("coo_llm_scrape_complete{instance='gw'}", "1x60", "1x50 0x10"),
    "CooLlmRestarting": Case(
        "process_start_time_seconds{job='coo-llm',instance='gw'}", "7x60", "7x45 8x4 9x4 10x7"
    ),
    "CooLlmServerErrors": Case(
        "coo_llm_requests_total{instance='gw',status='502'}", "0+6x60", "0+60x60", (BUSY,)
    ),
    "CooLlmInternalErrors": Case(
        "coo_llm_errors_total{instance='gw',code='internal_error',provider='p'}",
        "1x60",
        "_x55 1x5",
        (("coo_llm_build_info{instance='gw',version='1'}", "1x60"),),
    ),
    "CooLlmOverloaded": Case("coo_llm_errors_total{instance='gw',code='overloaded'}", "5x60", "5x50 6+1x10"),
    "CooLlmSlow": Case("coo_llm_event_loop_lag_seconds{instance='gw'}", "0.01x60", "0.01x40 1x20"),
    "CooLlmNoProviderAvailable": Case(
        "coo_llm_errors_total{instance='gw',code='no_provider_available',provider='none'}",
        "5x60",
        "5x50 6+1x10",
    ),
    "CooLlmProviderWithoutKeys": Case(
        "coo_llm_key_state{instance='gw',provider='p',key='k',state='active'}", "1x60", "1x50 0x10"
    ),
    "CooLlmProviderFailing": Case(
        "coo_llm_upstream_attempts_total{instance='gw',provider='p',outcome='failed'}",
        "0+6x60",
        "0+600x60",
        (("coo_llm_upstream_attempts_total{instance='gw',provider='p',outcome='ok'}", "0+600x60"),),
    ),
    "CooLlmKeyDisabled": Case(
        "coo_llm_key_state{instance='gw',provider='p',key='k',state='disabled'}", "0x60", "0x50 1x10"
    ),
    "CooLlmKeyNearLimit": Case(
        "coo_llm_key_window_ratio{instance='gw',provider='p',key='k',kind='tokens'}",
        "0.8x50 1x5 0.8x5",
        "0.8x40 1x20",
    ),
    "CooLlmFirstTokenSlow": Case(
        "coo_llm_time_to_first_token_seconds_bucket{instance='gw',provider='p',le='20'}",
        "0+100x60",
        "0+50x60",
        (
            ("coo_llm_time_to_first_token_seconds_bucket{instance='gw',provider='p',le='60'}", "0+100x60"),
            ("coo_llm_time_to_first_token_seconds_bucket{instance='gw',provider='p',le='+Inf'}", "0+100x60"),
        ),
    ),
    "CooLlmConfigInvalid": Case("coo_llm_config_invalid{instance='gw'}", "0x60", "0x50 1x10"),
    "CooLlmStoreUnreachable": Case(
        "coo_llm_store_degraded{instance='gw',store='redis'}", "0x60", "0x50 1x10"
    ),
    "CooLlmStoreErrors": Case(
        "coo_llm_store_errors_total{instance='gw',store='redis',operation='append'}",
        "5x60",
        "5x40 6+1x20",
    ),
    "CooLlmJournalNotDurable": Case("coo_llm_journal_durable{instance='gw'}", "1x60", "1x50 0x10"),
    "CooLlmJournalPending": Case(
        "coo_llm_journal_pending_records{instance='gw'}", "0x50 5000x5 0x5", "0x40 5000x20"
    ),
    "CooLlmRecordsLost": Case(
        "coo_llm_journal_events_total{instance='gw',event='dropped'}", "0x60", "0x55 1x5"
    ),
    "CooLlmLogLinesDropped": Case(
        "coo_llm_sink_dropped_total{instance='gw',sink='file'}", "0x60", "0x55 1x5"
    ),
    "CooLlmClientOutOfBudget": Case(
        "coo_llm_rate_limited_total{instance='gw',scope='client',id='a',kind='budget'}",
        "5x60",
        "5x50 6+1x10",
    ),
    "CooLlmClientLimited": Case(
        "coo_llm_rate_limited_total{instance='gw',scope='client',id='a',kind='requests'}",
        "0+60x60",
        "0+300x60",
        (BUSY,),
    ),
    "CooLlmPriceUnknown": Case(
        "coo_llm_unknown_price_total{instance='gw',provider='p',model='m'}", "0x60", "0x50 1+1x10"
    ),
}


def test_every_alert_has_a_case() -> None:
    assert set(ALERTS) == set(CASES)


@pytest.mark.parametrize("name", ALERTS)
def test_it_names_what_there_is(name: str) -> None:
    check(ALERTS[name]["expr"])


@pytest.mark.parametrize("name", ALERTS)
def test_it_says_how_grave_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "runbook"}
    assert rule["annotations"]["runbook"].endswith(".")


def fires(name: str, values: str, folder: Path) -> bool:
    """Whether promtool sees the alert at the end of an hour with these values."""
    case = CASES[name]
    series = [{"series": of, "values": told} for of, told in ((case.series, values), *case.beside)]
    nothing = [{"eval_time": "60m", "alertname": name}]
    test = {"interval": "1m", "input_series": series, "alert_rule_test": nothing}
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [os.fspath(RULES)], "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)
    if done.returncode == 0:  # nothing, as it was told to expect
        return False
    assert f'alertname="{name}"' in done.stderr, done.stderr
    return True


@pytest.mark.parametrize("name", ALERTS)
def test_it_fires_in_trouble_and_only_then(name: str, tmp_path: Path) -> None:
    assert fires(name, CASES[name].trouble, tmp_path)
    assert not fires(name, CASES[name].healthy, tmp_path)
