"""The HTTP door: the OpenAI Images API, health and metrics, in the same event loop as the gRPC door."""
