"""CRLs and OCSP answers: read, verified, linked to issuing keys, indexed; and what they say of a path."""
