"""Decoding of DER: a bounded reader, and with it the parts of a certificate, names, strings and extensions."""
