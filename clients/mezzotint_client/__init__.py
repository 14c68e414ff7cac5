"""The typed client of Mezzotint and its command line."""

import os

# gRPC reads this when it is imported. What it would print by itself, failed handshakes above all, comes as errors too.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from mezzotint_client.client import Client
from mezzotint_client.events import Accepted, Event, Finished, Picture, Progress, Started, Waiting

__all__ = ["Accepted", "Client", "Event", "Finished", "Picture", "Progress", "Started", "Waiting"]
