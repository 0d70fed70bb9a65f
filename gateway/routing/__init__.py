"""Which provider key answers: algorithms, health estimates, circuit breakers."""
