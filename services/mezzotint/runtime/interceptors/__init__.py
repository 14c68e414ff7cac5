"""What happens around every call, one concern a file; `pipeline` puts them together."""
