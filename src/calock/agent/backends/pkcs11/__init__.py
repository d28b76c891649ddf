"""Tokens with a PKCS#11 library: which are there, their certificates and keys, one signature, PIN change."""

from calock.agent.backends.pkcs11.backend import Pkcs11Backend

__all__ = ["Pkcs11Backend"]
