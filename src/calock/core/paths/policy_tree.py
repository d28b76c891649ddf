"""Certificate policies along a path: RFC 5280 clause 6.1 with the bounded graph of RFC 9618 instead of the exponential tree.

Only the newest level of the graph is kept. Each node holds the policies of the trust anchor's domain from which it descends; the
final intersection with the user's set needs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from calock.core.certificates.certificate import Certificate
from calock.core.der import extensions, reader
from calock.core.der.extensions import OID_INHIBIT_ANY_POLICY, OID_POLICY_CONSTRAINTS, OID_POLICY_MAPPINGS
from calock.core.policy import ANY_POLICY, Policy

MAX_POLICIES = 128
"""Policies or mappings of one certificate. Real ones have up to a dozen."""

T = TypeVar("T")


class PolicyFault(Exception):  # noqa: N818 - an outcome, turned into a check by the path step
    """The path is not valid for the policies that are required; the text says where."""


@dataclass(slots=True)
class _Node:
    expected: set[str]
    origins: set[str]
    """Policies in the trust anchor's domain from which this one descends."""


@dataclass(slots=True)
class _State:
    explicit: int
    mapping: int
    inhibit_any: int
    level: dict[str, _Node] = field(default_factory=lambda: {ANY_POLICY: _Node({ANY_POLICY}, {ANY_POLICY})})


def check_policies(path: Sequence[Certificate], policy: Policy) -> frozenset[str]:
    """Process ``path`` (leaf first, anchor last; the anchor's own extensions do not count).

    ``policy.required_policies``, else ``initial_policies``, is the user-initial-policy-set; empty = any-policy.
    Returns the policies of the anchor's domain for which the path is valid; anyPolicy when no policy is required.

    Raises:
        PolicyFault: RFC 5280 clause 6.1 says that the path is not valid for them.
    """
    if not (policy.require_explicit_policy or policy.required_policies or any(map(constrains_policies, path))):
        return frozenset({ANY_POLICY})  # no certificate of the path requires a policy or can make a mapping invalid
    certificates = list(reversed(path[:-1])) if len(path) > 1 else list(path)
    count = len(certificates)
    state = _State(
        explicit=0 if policy.require_explicit_policy or policy.required_policies else count + 1,
        mapping=0 if policy.inhibit_policy_mapping else count + 1,
        inhibit_any=0 if policy.inhibit_any_policy else count + 1,
    )
    for number, certificate in enumerate(certificates, 1):
        state.level = _descend(state, certificate, last=number == count)
        if not state.level and state.explicit == 0:
            raise PolicyFault(f"no policy is valid for certificate {count - number} of the path, and one is required")
        if number < count:
            _map(state, certificate)
            _count_down(state, certificate)
    return _wrap_up(state, certificates[-1], frozenset(policy.required_policies or policy.initial_policies))


def constrains_policies(certificate: Certificate) -> bool:
    """Whether it can require a policy for the path, or make a mapping invalid."""
    return OID_POLICY_CONSTRAINTS in certificate.by_oid or OID_POLICY_MAPPINGS in certificate.by_oid


def _value(certificate: Certificate, oid: str, decode: Callable[[bytes], T]) -> T | None:
    value = certificate.value_of(oid)
    if value is None:
        return None
    try:
        return decode(value)
    except reader.DerError as error:
        raise PolicyFault(f"extension {oid}: {error}") from error


def _descend(state: _State, certificate: Certificate, *, last: bool) -> dict[str, _Node]:
    """Clause 6.1.3 (d) and (e): the nodes that this certificate's policies leave."""
    policies = _value(certificate, extensions.OID_CERTIFICATE_POLICIES, extensions.policy_oids) or ()
    if len(policies) > MAX_POLICIES:
        raise PolicyFault(f"more than {MAX_POLICIES} policies in one certificate")
    expecting = _expecting(state)
    level: dict[str, _Node] = {}
    for oid in policies:
        if oid == ANY_POLICY:
            continue
        if oid in expecting:
            level[oid] = _Node({oid}, _origins(oid, expecting[oid]))
        elif ANY_POLICY in expecting:
            level[oid] = _Node({oid}, {oid})
    if ANY_POLICY in policies and (state.inhibit_any > 0 or (not last and certificate.self_issued)):
        for oid, parents in expecting.items():
            if oid not in level:
                level[oid] = _Node({oid}, _origins(oid, parents))
    return level


def _expecting(state: _State) -> dict[str, list[_Node]]:
    """The newest level's nodes by the policies that they expect next."""
    expecting: dict[str, list[_Node]] = {}
    for node in state.level.values():
        for wanted in node.expected:
            expecting.setdefault(wanted, []).append(node)
    return expecting


def _origins(oid: str, parents: list[_Node]) -> set[str]:
    found = set().union(*(parent.origins for parent in parents))
    if ANY_POLICY in found and oid != ANY_POLICY:
        found.discard(ANY_POLICY)
        found.add(oid)
    return found


def _map(state: _State, certificate: Certificate) -> None:
    """Clause 6.1.4 (a) and (b): translate into the subject's domain."""
    pairs = _value(certificate, OID_POLICY_MAPPINGS, extensions.policy_mappings) or ()
    if len(pairs) > MAX_POLICIES:
        raise PolicyFault(f"more than {MAX_POLICIES} policy mappings in one certificate")
    if any(ANY_POLICY in pair for pair in pairs):
        raise PolicyFault("anyPolicy is mapped")
    translated: dict[str, set[str]] = {}
    for issuer, subject in pairs:
        translated.setdefault(issuer, set()).add(subject)
    for issuer, subjects in translated.items():
        if state.mapping == 0:
            state.level.pop(issuer, None)
        elif issuer in state.level:
            state.level[issuer].expected = subjects
        elif ANY_POLICY in state.level:
            state.level[issuer] = _Node(subjects, {issuer})


def _count_down(state: _State, certificate: Certificate) -> None:
    """Clause 6.1.4 (h) to (j)."""
    if not certificate.self_issued:
        state.explicit = max(state.explicit - 1, 0)
        state.mapping = max(state.mapping - 1, 0)
        state.inhibit_any = max(state.inhibit_any - 1, 0)
    explicit, mapping = _value(certificate, OID_POLICY_CONSTRAINTS, extensions.policy_constraints) or (None, None)
    inhibit_any = _value(certificate, OID_INHIBIT_ANY_POLICY, extensions.inhibit_any_policy)
    state.explicit = min(state.explicit, state.explicit if explicit is None else explicit)
    state.mapping = min(state.mapping, state.mapping if mapping is None else mapping)
    state.inhibit_any = min(state.inhibit_any, state.inhibit_any if inhibit_any is None else inhibit_any)


def _wrap_up(state: _State, leaf: Certificate, wanted: frozenset[str]) -> frozenset[str]:
    """Clause 6.1.5 (a), (b) and (g)."""
    explicit = max(state.explicit - 1, 0)
    required, _ = _value(leaf, OID_POLICY_CONSTRAINTS, extensions.policy_constraints) or (None, None)
    if required == 0:
        explicit = 0
    valid = frozenset().union(*(node.origins for node in state.level.values()))
    if wanted and ANY_POLICY not in wanted:
        valid = wanted if ANY_POLICY in valid else valid & wanted
    if explicit == 0 and not valid:
        raise PolicyFault("none of the required policies is valid for the path")
    return valid
