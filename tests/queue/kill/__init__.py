"""kill -9 of a real queue server, again and again, under load."""
