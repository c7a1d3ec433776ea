"""quote_helper."""
