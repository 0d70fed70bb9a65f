"""The way of usage records into the store."""
