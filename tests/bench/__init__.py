"""Benchmarks: the gateway beside a bare nginx, in the same run, on the same core, before the same mock."""
