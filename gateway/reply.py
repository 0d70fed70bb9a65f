"""What came of a reload, for whoever asks by a signal and waits: a word in the runtime directory."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)

ASKED, REPLY = "reload.asked", "reload.reply"
"""Who asks makes the one, sends SIGHUP, and waits for the other: see ``systemd/reload``."""


def asked(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where somebody waits for what comes of the reload that begins now; None: nobody does."""
    folder = Path(environ.get("RUNTIME_DIRECTORY", "").partition(":")[0])
    if not folder.is_absolute():
        return None
    try:
        (folder / ASKED).unlink()
    except OSError:
        return None
    return folder


def reply(folder: Path, outcome: str) -> None:
    """Say it to who waits."""
    draft = folder / f"{REPLY}.new"
    try:
        draft.write_text(f"{outcome}\n")
        draft.rename(folder / REPLY)
    except OSError as exc:
        log.error("cannot say what came of the reload", extra={"error": str(exc)})
