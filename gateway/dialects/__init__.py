"""Wire formats as pure functions: no I/O, no aiohttp."""
