"""Conformance suites: a plugin author runs ours on theirs."""
