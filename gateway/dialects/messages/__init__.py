"""Anthropic Messages and the hub (OpenAI chat): requests out to it, answers and streams back from it. Clients
that speak Messages are in ``inbound``, and what passes between them and Anthropic unchanged in ``native``."""
