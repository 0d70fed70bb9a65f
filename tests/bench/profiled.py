"""The gateway under cProfile: prints the forty functions that took most time when it stops."""

from __future__ import annotations

import cProfile
import pstats
import runpy
import sys


def main() -> None:
    """Run ``gateway`` with this process's arguments."""
    profile = cProfile.Profile()
    try:
        profile.runcall(runpy.run_module, "gateway", run_name="__main__")
    finally:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
