"""How long a newcomer waits: the suite's start, the way from a request to a worker, and what is lost around the model."""
