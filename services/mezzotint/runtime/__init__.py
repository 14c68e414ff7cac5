"""What every process stands on: errors, settings, logging, TLS, the gRPC server and channels. Knows no service."""
