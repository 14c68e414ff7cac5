"""The typed client of Mezzotint and its command line."""
