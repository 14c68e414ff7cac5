"""The same work for Mezzotint's queue and for the queues people use today, side by side in one run."""
