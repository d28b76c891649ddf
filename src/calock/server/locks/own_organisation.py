"""A certificate of an organisation is bound only to that organisation's members, by the rules of each provider that takes it."""

from __future__ import annotations

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.locks.answers import Proof, provider_facts


def require_own_organisation(proof: Proof, member: Account) -> None:
    """A certificate of an organisation is taken only for that organisation's members; a personal one is not asked.

    Nor is one that names no holder: the provider's rules decide whether such a certificate is taken at all
    (``identity.holder_required``), and the row says ``holder: none``.

    Raises:
        Refusal: HOLDER_NOT_ORGANISATION.
    """
    if proof.identity.holder_kind != "uscc":
        return
    own = member.organisation.uscc if member.organisation else ""
    if own != proof.identity.holder_id:
        facts = provider_facts(proof.provider.code)
        raise Refusal(Reason.HOLDER_NOT_ORGANISATION, "the certificate names another organisation", facts)
