"""From a denoiser's outputs to a picture: noise levels, the methods that step between them, pictures on their way.

Pure: numbers in, numbers out. Imports no other room.
"""
