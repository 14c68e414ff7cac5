"""Mezzotint: image generation that stays up when everyone arrives at once."""
