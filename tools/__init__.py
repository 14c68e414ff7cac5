"""What the developers of Mezzotint run: nothing here is installed."""
