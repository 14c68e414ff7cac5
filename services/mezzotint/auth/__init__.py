"""Who is calling: accounts, sessions, API keys, access tokens, and the revocation of all of them."""
