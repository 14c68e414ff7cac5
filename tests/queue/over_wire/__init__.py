"""The real server, over TLS and on its real store, held against a model of it."""
