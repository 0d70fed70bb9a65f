"""The admin API, against a whole gateway."""
