"""Reading, checking and watching the configuration file."""
