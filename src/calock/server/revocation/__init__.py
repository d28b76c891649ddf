"""What CAs publish about revocation: fetched, verified, kept by this machine, and given to the checks of certificates."""
