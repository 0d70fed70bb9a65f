"""Several processes as one gateway: who starts them, keeps them running, and speaks for them."""
