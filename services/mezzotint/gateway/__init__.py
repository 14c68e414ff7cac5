"""The public door: gRPC for our own clients, an OpenAI-compatible HTTP API for everybody else's."""
