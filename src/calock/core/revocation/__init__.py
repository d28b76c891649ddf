"""The revocation step: CRLs and OCSP responses, and a path checked against them (RFC 5280 clauses 5 and 6.3, RFC 6960)."""
