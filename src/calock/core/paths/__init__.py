"""From a certificate to a recognised anchor (RFC 5280 clause 6)."""
