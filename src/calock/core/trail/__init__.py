"""The audit trail's evidence: signed heads over a hash tree of rows, and archives of both, which verify by themselves."""
