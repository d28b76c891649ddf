"""Verification of CA-lock certificates and login answers, as pure functions: time, trust and evidence are arguments.

Rooms, each importing only those below it: ``decision`` (the five steps in their order), ``paths`` (certification paths),
``revocation`` (CRLs and OCSP), ``checks`` (gate, profile, identity: one certificate alone), ``certificates`` (one parsed
certificate), ``der`` (decoding).
"""
