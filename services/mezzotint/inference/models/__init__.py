"""Models that draw: the port to them, its adapter over folders in the diffusers layout, and the repository.

The repository loads, replaces and lets go of models under load. Imports graphs and sampling.
"""
