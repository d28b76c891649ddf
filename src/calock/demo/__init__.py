"""The practice world: CAs with published CRLs, locks, organisations, accounts, and both sites to use them on.

Nothing in it is made up: its one binding is a real bind, its CRLs come from a real source, its packages from the real build.
"""
