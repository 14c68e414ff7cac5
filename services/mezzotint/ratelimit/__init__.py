"""May they, and how much: limits over an account, its tier and everybody, taken all or none."""
