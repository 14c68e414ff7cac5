"""Plain tensor models, any ONNX file as it is: requests held to the graph, batched, and run in a pool of threads.

Imports graphs alone: it shares nothing with what draws.
"""
