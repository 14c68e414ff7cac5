"""When: durable jobs, handed to workers fairly."""
