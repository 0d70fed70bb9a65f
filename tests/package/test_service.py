"""The installed service, in its sandbox: usable at once, reloaded, hung, set to other things."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.package.service import CONFIG, Service

pytestmark = pytest.mark.timeout(600)

PRIORITIES = {"debug": "7", "info": "6", "warning": "4", "error": "3", "critical": "2"}
ACME = Path(__file__).parent / "acme"


def test_after_the_installation_the_line_in_the_journal_answers(service: Service) -> None:
    [welcome] = [entry["MESSAGE"] for entry in service.journal() if "Welcome" in entry["MESSAGE"]]
    [line] = re.findall(r"^ +(curl .*)$", welcome, re.MULTILINE)
    answer = json.loads(service.box.run(f"{line} -sS"))
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert service.chat(stream=True).endswith("data: [DONE]\n\n")
    assert service.property("ActiveState") == "active"
    assert service.box.run("systemctl is-enabled coo-llm.service").strip() == "enabled"
    assert service.box.failing("systemctl is-enabled coo-llm.socket").strip() == "disabled"


def test_it_is_for_this_machine_alone_and_its_keys_for_root(service: Service) -> None:
    [listening] = [e["MESSAGE"] for e in service.journal() if '"listening"' in e["MESSAGE"]]
    assert json.loads(listening)["addresses"] == ["127.0.0.1:2906"]
    found = service.box.run("stat -c '%a %U %n' /etc/coo-llm/* /etc/coo-llm/keys/*").splitlines()
    assert found == [
        f"644 root {CONFIG}",
        "700 root /etc/coo-llm/keys",
        "600 root /etc/coo-llm/keys/admin",
        "600 root /etc/coo-llm/keys/first-client",
    ]
    everything = service.box.run("journalctl -q -o cat")
    assert all(
        len(service.key(name)) > 30 and service.key(name) not in everything
        for name in ("admin", "first-client")
    )
    private = service.box.run("stat -c '%a %U' /var/lib/coo-llm /var/log/coo-llm").splitlines()
    assert private == ["700 coo-llm"] * 2
    assert service.admin("health")["status"] == "ok"


def test_the_units_are_sound_and_hardened(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    units = " ".join(
        f"/lib/systemd/system/coo-llm{rest}" for rest in (".service", ".socket", "-keys.service")
    )
    assert service.box.run(f"systemd-analyze verify --man=no {units}") == ""
    for unit in ("coo-llm.service", "coo-llm-keys.service"):
        found = service.box.run(f"systemd-analyze security --no-pager --offline=true --threshold=15 {unit}")
        with capsys.disabled():
            print(f"\n{found.splitlines()[-1]}")


def test_a_reload_takes_what_is_valid_and_fails_with_what_is_not(service: Service) -> None:
    service.configure(model_aliases={"default": "echo:echo", "other": "echo:echo"})
    service.box.run("systemctl reload coo-llm")
    service.box.until(f"grep -q other {CONFIG}")
    assert "other" in service.admin("config")["model_aliases"]
    before = service.cursor()
    service.configure(polcy={}, model_aliases={})
    service.box.failing("systemctl reload coo-llm")
    errors = [entry["MESSAGE"] for entry in service.journal(before) if entry["PRIORITY"] == "3"]
    assert any(
        re.match(r'polcy: unknown setting; did you mean "policy"\? \[line \d+\]$', line) for line in errors
    )
    assert "other" in service.admin("config")["model_aliases"]
    assert service.chat()
    service.configure()
    service.box.run("systemctl reload coo-llm")


def test_a_reload_fails_with_what_is_not_valid_together_with_what_was_set(service: Service) -> None:
    other = {"id": "other", "type": "echo", "model": "echo"}
    service.configure(llm_providers=[*service.shipped["llm_providers"], other])
    service.box.run("systemctl reload coo-llm")
    service.admin("config", {"policy": {"fallback": {"providers": ["other"]}}})
    service.configure()
    service.box.failing("systemctl reload coo-llm")
    assert service.property("ActiveState") == "active"
    service.box.run(f"coo-llm revert {CONFIG} policy.fallback.providers")
    service.box.run("systemctl reload coo-llm")


def test_keys_are_renewed_and_new_ones_found_by_a_reload(service: Service) -> None:
    new = "sk-coo-another-key-that-was-made-by-hand"
    pid = service.property("MainPID")
    service.box.path("/etc/coo-llm/keys/first-client").write_text(f"{new}\n")
    service.box.path("/etc/coo-llm/keys/second").write_text("sk-coo-second")
    second = {"id": "second", "key": "${file:${COO_LLM_KEYS}second}"}
    service.configure(api_keys=[*service.shipped["api_keys"], second])
    service.box.run("systemctl reload coo-llm")
    service.box.until(f"curl -sf -H 'Authorization: Bearer {new}' http://127.0.0.1:2906/v1/models")
    service.box.until("curl -sf -H 'Authorization: Bearer sk-coo-second' http://127.0.0.1:2906/v1/models")
    assert service.property("MainPID") == pid
    assert (
        service.box.run("stat -c '%a %U' /run/credentials/coo-llm.service/*").splitlines()
        == ["400 coo-llm"] * 3
    )
    assert " ro," in service.box.run("grep /run/credentials/coo-llm.service /proc/mounts")
    service.configure()
    service.box.run("systemctl reload coo-llm")


def test_what_is_no_plain_file_among_the_keys_is_passed_over(service: Service) -> None:
    service.box.run("cd /etc/coo-llm/keys && mkdir -p a-folder && ln -s /nowhere dangling")
    service.box.run("systemctl reload coo-llm")
    handed = service.box.run("ls /run/credentials/coo-llm.service").split()
    assert not {"key_a-folder", "key_dangling"} & set(handed)
    service.box.run("cd /etc/coo-llm/keys && rmdir a-folder && rm dangling")


def test_each_line_in_the_journal_has_its_priority(service: Service) -> None:
    service.configure(server={**service.shipped["server"], "admin_api_key": "weak"})
    service.restart()
    service.configure()
    service.restart()
    lines = [
        (json.loads(entry["MESSAGE"])["level"], entry["PRIORITY"])
        for entry in service.journal()
        if entry["MESSAGE"][0] == "{"
    ]
    assert {level for level, _ in lines} >= {"info", "warning", "error"}
    assert [(level, given) for level, given in lines if PRIORITIES[level] != given] == []


def test_a_hung_gateway_is_killed_and_started_anew(service: Service) -> None:
    service.drop_in("WatchdogSec=2s")
    service.restart()
    pid = service.property("MainPID")
    service.box.run(f"kill -STOP {pid}")
    service.box.until("test $(systemctl show --value -p NRestarts coo-llm) -gt 0", 60)
    service.box.until("systemctl is-active coo-llm")
    assert service.property("MainPID") != pid
    assert service.chat()
    assert any("Watchdog timeout" in entry["MESSAGE"] for entry in service.journal())
    service.drop_in("")


def test_a_longer_drain_than_the_unit_s_timeout_is_waited_for(service: Service) -> None:
    slow = {**service.shipped["llm_providers"][0], "first_token_ms": 4000}
    service.configure(llm_providers=[slow])
    service.drop_in("TimeoutStopSec=1s")
    service.restart()
    asking = service.box.on_its_network(
        "curl", "-sS", "-H", f"Authorization: Bearer {service.key('first-client')}", "http://127.0.0.1:2906/v1/chat/completions",
        "-d", '{"model": "default", "messages": [{"role": "user", "content": "patience"}]}',
    )  # fmt: skip
    with subprocess.Popen(asking, stdout=subprocess.PIPE, text=True) as request:
        while service.admin("providers/echo")["keys"][0]["in_flight"] == 0:
            time.sleep(0.05)
        service.configure()
        service.restart()
        assert "patience" in request.communicate()[0]
    assert not any("timed out" in entry["MESSAGE"] for entry in service.journal())
    service.drop_in("")


def test_a_third_party_s_plugin_is_found_and_used(service: Service, tmp_path: Path) -> None:
    place = service.box.path("/usr/local/lib/coo-llm")
    assert place.is_dir()
    source = shutil.copytree(ACME, tmp_path / "acme")
    install = ("/usr/bin/python3", "-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-deps")
    subprocess.run([*install, "--target", str(place), str(source)], check=True, capture_output=True)
    assert re.search(r"^providers +acme +acme 1\.0$", service.box.run("coo-llm plugins"), re.MULTILINE)
    service.configure(
        llm_providers=[{"id": "acme", "type": "acme", "model": "m"}], model_aliases={"default": "acme:m"}
    )
    service.restart()
    assert "acme says: Hello" in service.chat()
    service.configure()


def test_a_password_hash_and_rotation_work_in_the_sandbox(service: Service) -> None:
    hashed = service.box.run("printf 'correct horse\\n' | coo-llm hash-password").splitlines()[-1]
    webui = {"admin_password": hashed.replace("$", "$$")}
    logging = {
        **service.shipped["logging"],
        "file": {"path": "/var/log/coo-llm/coo-llm.log", "max_size_mb": 1},
    }
    service.configure(server={**service.shipped["server"], "webui": webui}, logging=logging)
    service.restart()
    login = (
        """curl -sSf -H 'Content-Type: application/json' -d '{"id": "admin", "password": "correct horse"}'"""
    )
    assert "csrf_token" in service.box.run(f"{login} http://127.0.0.1:2906/admin/login")
    service.box.run("head -c 1100000 /dev/zero >>/var/log/coo-llm/coo-llm.log")
    service.chat()
    service.box.until(
        "test -e /var/log/coo-llm/coo-llm.log.1 && grep -q '\"request\"' /var/log/coo-llm/coo-llm.log*"
    )
    service.configure()


def test_root_can_take_back_what_was_set_and_the_service_goes_on(service: Service) -> None:
    service.restart()
    service.admin("config", {"policy": {"algorithm": "round_robin"}})
    assert service.box.run(f"coo-llm revert {CONFIG}").strip() == "policy.algorithm"
    service.box.run(f"coo-llm revert {CONFIG} policy.algorithm")
    service.restart()
    assert service.admin("config")["policy"]["algorithm"] == "hybrid"
    assert service.admin("health")["status"] == "ok"
    service.admin("config", {"policy": {"algorithm": "round_robin"}})  # it can still write


@pytest.mark.parametrize("store", ["file", "redis"])
def test_workers_in_the_sandbox(service: Service, store: str) -> None:
    kept = dict(service.shipped["storage"])
    if store == "redis":
        service.box.run("apt-get install -qq -y --no-install-recommends redis-server >/dev/null")
        kept |= {part: {"type": "redis", "addr": "127.0.0.1:6379"} for part in ("config", "runtime")}
    service.configure(server={**service.shipped["server"], "workers": 2}, storage=kept)
    service.restart()
    pids = service.box.run(f"cat /proc/{service.property('MainPID')}/task/*/children").split()
    assert len(pids) == 2
    for pid in pids:
        assert " -I -m gateway.worker " in service.box.run(f"tr '\\0' ' ' </proc/{pid}/cmdline")
    service.chat("a message for the records")
    service.box.run(f"kill -KILL {pids[0]}")
    assert service.chat("and another one")
    service.box.run("systemctl reload coo-llm")
    service.restart()
    assert service.admin("stats?group_by=client")["total"]["queries"] >= 2
    service.configure()


def test_a_proxy_s_own_unix_socket(service: Service) -> None:
    path, drop_in = "/run/coo-llm.sock", "/etc/systemd/system/coo-llm.socket.d"
    lines = f"ListenStream=\\nListenStream={path}\\nSocketMode=0660\\nSocketGroup=www-data"
    service.box.run(f"mkdir {drop_in} && printf '[Socket]\\n{lines}\\n' >{drop_in}/test.conf")
    service.box.run("systemctl daemon-reload")
    service.switch_the_socket_on()
    asking = f"curl -sSf --unix-socket {path} http://localhost/readyz"
    assert '"ok"' in service.box.run(f"setpriv --reuid=www-data --regid=www-data --clear-groups {asking}")
    service.box.failing(f"setpriv --reuid=nobody --regid=nogroup --clear-groups {asking}")
    service.box.run(f"rm -r {drop_in} && systemctl daemon-reload && systemctl disable --now coo-llm.socket")
    service.restart()
