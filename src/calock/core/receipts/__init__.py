"""Receipts (存证回执): what a lock proved, kept so that anybody can check it years later, without this server."""
