"""How many rows a call may have: t(batch) measured when a model is opened, its knee, and the file that keeps it between starts.

Imports pictures, since it draws to measure, and what those import, and graphs.
"""
