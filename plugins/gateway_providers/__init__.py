"""The providers that come with COO-LLM."""
