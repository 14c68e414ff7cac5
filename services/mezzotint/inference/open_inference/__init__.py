"""The Open Inference Protocol over tensor models: its servicer, its stream, and what it tells of models.

Imports tensors.
"""
