"""The stores that come with COO-LLM."""
