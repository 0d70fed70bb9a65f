"""Tests mirror the tree; fakes/ holds upstreams, daemon/ runs whole gateways, bench/ measures."""
