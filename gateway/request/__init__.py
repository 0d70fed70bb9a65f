"""The path of a client's request, from accepting it to recording it."""
