"""The service in a box, from an operator's side."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.package.box import Box

CONFIG = "/etc/coo-llm/config.yaml"
URL = "http://127.0.0.1:2906"
_DROP_IN = "/etc/systemd/system/coo-llm.service.d/test.conf"


def install(box: Box, package: Path) -> str:
    """What apt prints when it installs a package's file, or upgrades to it."""
    shutil.copy(package, box.path("/tmp"))
    return box.run(f"apt-get install -q -y --no-install-recommends /tmp/{package.name}")


class Service:
    """``coo-llm.service`` in ``box``."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.shipped: dict[str, Any] = yaml.safe_load(box.path(CONFIG).read_text())
        """The configuration that it came with."""

    def configure(self, **sections: Any) -> None:
        """Put these sections in the place of those of the shipped configuration, into the file."""
        box_path = self.box.path(CONFIG)
        draft = box_path.with_suffix(".new")
        draft.write_text(yaml.safe_dump({**self.shipped, **sections}))
        draft.rename(box_path)

    def drop_in(self, text: str) -> None:
        """Change the unit's ``[Service]``, in the place of an earlier change."""
        path = self.box.path(_DROP_IN)
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"[Service]\n{text}\n")
        self.box.run("systemctl daemon-reload")

    def property(self, name: str) -> str:
        """A property of the unit."""
        return self.box.run(f"systemctl show --value -p {name} coo-llm").strip()

    def restart(self) -> None:
        """Returns once it serves."""
        self.box.run("systemctl restart coo-llm")

    def switch_the_socket_on(self) -> None:
        """As the socket's comment says."""
        self.box.run(
            "systemctl stop coo-llm.service"
            " && systemctl enable --now coo-llm.socket && systemctl start coo-llm.service"
        )

    def key(self, name: str) -> str:
        """What stands in one of the files for keys."""
        return self.box.path(f"/etc/coo-llm/keys/{name}").read_text().strip()

    def chat(self, message: str = "Hello", stream: bool = False) -> str:
        """The body of the answer to a chat that succeeds."""
        body = {"model": "default", "stream": stream, "messages": [{"role": "user", "content": message}]}
        return self._curl("/v1/chat/completions", "first-client", body)

    def admin(self, path: str, body: Any = None) -> Any:
        """The answer to an admin call that succeeds."""
        return json.loads(self._curl(f"/admin/v1/{path}", "admin", body))

    def journal(self, since: str = "") -> list[dict[str, Any]]:
        """The entries of the journal that belong to the unit, after a cursor."""
        after = f"--after-cursor='{since}'" if since else ""
        lines = self.box.run(f"journalctl -q -u coo-llm -o json {after}").splitlines()
        return [json.loads(line) for line in lines]

    def cursor(self) -> str:
        """Where the journal ends now."""
        return str(self.journal()[-1]["__CURSOR"])

    def _curl(self, path: str, key: str, body: Any) -> str:
        data = "" if body is None else f"-H 'Content-Type: application/json' -d '{json.dumps(body)}'"
        bearer = f"Authorization: Bearer {self.key(key)}"
        return self.box.run(f"curl -sS --fail-with-body -N -H '{bearer}' {data} '{URL}{path}'")
