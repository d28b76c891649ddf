"""One parsed certificate: its fields, its extensions, the strength of its key, and signatures made with that key."""
