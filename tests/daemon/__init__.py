"""End to end: a whole gateway, real clients, fake upstreams."""
