"""The dashboard: server-rendered pages on top of the admin API."""
