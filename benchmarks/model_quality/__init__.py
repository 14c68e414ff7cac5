"""How good the pictures of the bundled model are."""
