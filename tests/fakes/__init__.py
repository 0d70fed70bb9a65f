"""Upstreams that tests start in their own process: strict ones that judge requests, a nasty one that lies."""
