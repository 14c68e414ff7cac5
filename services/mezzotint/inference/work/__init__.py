"""Jobs from the queue: the worker's stream, the leases it holds, and what the queue is told at their end.

Imports pictures, and batching for the room that is left.
"""
