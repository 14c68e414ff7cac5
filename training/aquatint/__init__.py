"""Train and export "aquatint", the text-to-image model that Mezzotint bundles."""
