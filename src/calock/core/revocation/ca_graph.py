"""Known CA certificates, and which of them signed which. Names alone prove nothing."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import datetime

from calock.core.certificates.certificate import Certificate
from calock.core.der import names
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.core.revocation.signed_data import SignatureRejectedError, check_issued

MAX_DEPTH = 8
MAX_PATHS = 4
MAX_VISITS = 64


class CaGraph:
    """Known CA certificates, and which of them signed which."""

    def __init__(
        self, anchors: Iterable[Certificate], others: Iterable[Certificate], *, policy: Policy, at: datetime, provider: str = ""
    ) -> None:
        self.provider = provider
        """Code of the provider whose CAs and rules these are: by other rules other answers count."""
        self.policy = policy
        self.at = at
        self.anchors = list(dict.fromkeys(anchors))
        self.certificates = list(dict.fromkeys([*self.anchors, *others]))
        self._by_name: defaultdict[names.NameKey, list[Certificate]] = defaultdict(list)
        for certificate in sorted(self.certificates, key=_newest_first):  # no result may depend on the order that was given
            self._by_name[certificate.subject_key].append(certificate)
        self._signed: dict[tuple[bytes, bytes], bool] = {}

    def named(self, name: names.NameKey) -> list[Certificate]:
        return self._by_name.get(name, [])

    def signed_by(self, certificate: Certificate, issuer: Certificate) -> bool:
        """Whether ``issuer``'s key signed ``certificate`` as a CA of that name."""
        key = (certificate.der, issuer.der)
        known = self._signed.get(key)
        if known is None:
            known = self._holds(certificate, issuer)
            self._signed[key] = known
        return known

    def _holds(self, certificate: Certificate, issuer: Certificate) -> bool:
        try:
            if certificate.issuer_key != issuer.subject_key:
                return False
            if issuer.key_usage is not None and "key_cert_sign" not in issuer.key_usage:
                return False
            check_issued(certificate, issuer, policy=self.policy, at=self.at)
        except (SignatureRejectedError, Refusal):  # an unreadable name or key usage proves nothing
            return False
        return True

    def paths_of(self, certificate: Certificate) -> tuple[tuple[Certificate, ...], ...]:
        """Paths from ``certificate`` to an anchor, both included, the shortest first; at most :data:`MAX_PATHS`."""
        waiting: deque[tuple[Certificate, ...]] = deque([(certificate,)])
        found: list[tuple[Certificate, ...]] = []
        visits = 0
        while waiting and len(found) < MAX_PATHS and visits < MAX_VISITS:
            path = waiting.popleft()
            visits += 1
            if path[-1] in self.anchors:
                found.append(path)
            elif len(path) < MAX_DEPTH:
                above = (item for item in self._namesakes_above(path[-1]) if item not in path)
                waiting += [(*path, item) for item in above if self.signed_by(path[-1], item)]
        return tuple(found)

    def over_the_same_key(self, certificate: Certificate) -> list[Certificate]:
        """``certificate`` and the known ones over its key, in an order of their own."""
        known = {item for item in self.certificates if item.spki_sha256 == certificate.spki_sha256}
        return sorted({certificate, *known}, key=_newest_first)

    def _namesakes_above(self, certificate: Certificate) -> list[Certificate]:
        try:
            return self.named(certificate.issuer_key)
        except Refusal:
            return []

    def issuers_covered_by(self, signer: Certificate) -> list[Certificate]:
        """The CA certificates whose issued certificates are covered by a CRL that ``signer`` signed: those of the same CA.

        The same key; the same name with one key certified by the other (key roll-over, delegated CRL key); or the same name with
        both keys certified by one key above, the signer's for CRLs alone (separate certificate and CRL keys). A name alone never
        counts.
        """
        return [item for item in self.named(signer.subject_key) if self._one_authority(signer, item)]

    def _one_authority(self, signer: Certificate, issuer: Certificate) -> bool:
        if signer.spki_sha256 == issuer.spki_sha256 or self.signed_by(signer, issuer) or self.signed_by(issuer, signer):
            return True
        if not _signs_no_certificates(signer):
            return False  # a second CA of the same name is another CA, also when one CA above certified both
        return any(self.signed_by(signer, above) and self.signed_by(issuer, above) for above in self._namesakes_above(signer))


def _newest_first(certificate: Certificate) -> tuple[float, bytes]:
    return -certificate.not_before.timestamp(), certificate.der


def _signs_no_certificates(signer: Certificate) -> bool:
    try:
        return signer.key_usage is not None and "key_cert_sign" not in signer.key_usage
    except Refusal:
        return False  # its key usage is unreadable
