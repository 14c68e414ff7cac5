"""The container files, read as text: what they promise about safety, and that they fit the services as they are."""
