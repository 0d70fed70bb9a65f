"""The log sinks that come with COO-LLM."""
