"""COO-LLM: one OpenAI-compatible address in front of many LLM providers and keys."""

__version__ = "0.1.0"
