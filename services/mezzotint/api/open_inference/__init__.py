"""Generated from protos/ by tools/stubs.py. Never edited."""
