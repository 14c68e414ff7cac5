"""Power cuts, failing disks and flipped bits under the SQLite engine."""
