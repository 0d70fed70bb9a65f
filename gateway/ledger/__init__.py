"""Usage records from the end of a request into the store: on disk first, then in batches, each once."""
