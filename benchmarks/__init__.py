"""One question a folder: `python -m benchmarks.<question> --json` prints one JSON object in its last line."""
