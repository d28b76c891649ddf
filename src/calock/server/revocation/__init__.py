"""What CAs publish about revocation: fetched, verified, kept by this machine, and handed to whoever judges."""
