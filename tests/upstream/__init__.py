"""The upstream client against servers that do all that servers do, lies included."""
