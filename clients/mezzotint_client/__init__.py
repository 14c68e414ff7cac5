"""The typed client of Mezzotint and its command line."""

from mezzotint_client.client import Client
from mezzotint_client.events import Accepted, Event, Finished, Picture, Progress, Started, Waiting

__all__ = ["Accepted", "Client", "Event", "Finished", "Picture", "Progress", "Started", "Waiting"]
