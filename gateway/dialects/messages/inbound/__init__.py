"""Clients that speak Anthropic Messages: their requests to the hub (OpenAI chat), its answers to them."""
