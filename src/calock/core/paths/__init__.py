"""The path step: candidate certification paths from the register, and their validation (RFC 5280 clause 6, RFC 4158)."""
