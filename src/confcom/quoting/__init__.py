"""Who makes quotes: backends, the worker processes that hold one each, and the pool that keeps the workers alive."""
