"""What step-level batching gains over batches of whole requests and over one picture at a time, and what it costs."""
