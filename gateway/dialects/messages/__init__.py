"""Anthropic Messages and the hub (OpenAI chat): requests out to it, answers and streams back from it."""
