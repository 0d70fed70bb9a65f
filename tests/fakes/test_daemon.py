"""The subprocess helper: ready, reload, stop, and honest about a daemon that dies."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.fakes.daemon import Daemon

STAND_IN = """
import http.server, os, signal, sys, yaml
path = sys.argv[sys.argv.index("-c") + 1]
port = yaml.safe_load(open(path).read())["server"]["listen"].rpartition(":")[2]
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
def stop(*_):
    print("stopping", file=sys.stderr, flush=True)
    os._exit(EXIT)
def reload(*_):
    open("reloaded", "w").close()
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGHUP, reload)
http.server.HTTPServer(("127.0.0.1", int(port)), Ready).serve_forever()
"""


def stand_in(folder: Path, status: int = 0) -> tuple[str, ...]:
    path = folder / "stand_in.py"
    path.write_text(STAND_IN.replace("EXIT", str(status)))
    return (str(path),)


async def test_ready_reload_stop(tmp_path: Path) -> None:
    async with Daemon({"policy": {}}, tmp_path, module=stand_in(tmp_path)) as daemon:
        assert await daemon.ready()
        daemon.reload({"policy": {"algorithm": "hybrid"}})
        written = yaml.safe_load(daemon.config_path.read_text())
        assert written["policy"] == {"algorithm": "hybrid"}
        assert written["server"]["listen"] == f"127.0.0.1:{daemon.port}"
    assert "stopping" in daemon.stderr
    assert (tmp_path / "reloaded").exists()


async def test_a_bad_exit_fails_the_test(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="exit 3 after SIGTERM"):
        async with Daemon({}, tmp_path, module=stand_in(tmp_path, 3)):
            pass


async def test_an_early_end_names_the_reason(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text("raise SystemExit('no such provider')")
    with pytest.raises(RuntimeError, match="no such provider"):
        await Daemon({}, tmp_path, module=(str(tmp_path / "dies.py"),)).start()
