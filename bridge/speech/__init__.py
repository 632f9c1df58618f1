"""What was heard, and how long it took."""
