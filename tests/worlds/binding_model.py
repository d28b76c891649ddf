"""What docs/decisions/binding.md says of locks and bindings, as a plain model in memory: no database, no certificates.

Each act returns the word of its outcome: what was done, or the reason that refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

OWN, OTHER, PERSON = "own", "other", "person"
"""Holders: the organisation of most people here, another organisation, somebody by their 公民身份号码."""


@dataclass(frozen=True)
class Card:
    """A certificate: the key and the device it stands in, whose it is, and how new it is."""

    name: str
    key: int
    device: str
    holder: str
    age: int


@dataclass(frozen=True)
class Person:
    name: str
    organisation: str
    administrator: bool = False
    password: bool = True


@dataclass(eq=False)
class Bound:
    """A binding."""

    number: int
    lock: Lock
    person: Person
    by: Person
    awaits: str
    live: bool = True
    lost: bool = False

    @property
    def logs_in(self) -> bool:
        return self.live and not self.awaits and not self.lost


@dataclass(eq=False)
class Lock:
    device: str
    current: Card
    keys: set[int]
    left_behind: set[Card] = field(default_factory=set)
    binding: Bound | None = None

    def take(self, card: Card) -> None:
        if card != self.current:
            self.left_behind.add(self.current)
            self.left_behind.discard(card)
            self.current = card
        self.keys.add(card.key)


@dataclass
class Model:
    consent: str
    """Whose consent the site asks for when an administrator binds for a member: nobody's, ``member`` or ``administrator``."""
    locks: list[Lock] = field(default_factory=list)
    bindings: list[Bound] = field(default_factory=list)
    revoked: set[Card] = field(default_factory=set)
    disabled: set[Person] = field(default_factory=set)

    # --- what can be asked

    def oversees(self, by: Person, person: Person) -> bool:
        return by == person or (by.administrator and by.organisation == person.organisation and not person.administrator)

    def lock_of(self, card: Card) -> Lock | None:
        known = (lock for lock in self.locks if card.key in lock.keys)
        return next(known, None)

    def live(self, person: Person | None = None) -> list[Bound]:
        return [row for row in self.bindings if row.live and person in (None, row.person)]

    def agreed(self, holder: str) -> list[Bound]:
        """A holder's live bindings that wait for nobody's consent."""
        return [row for row in self.live() if not row.awaits and row.lock.current.holder == holder]

    def gets_in(self, person: Person) -> bool:
        """Whether somebody has a session at all."""
        return person not in self.disabled and (person.password or any(row.logs_in for row in self.live(person)))

    def same_device(self, lock: Lock, card: Card) -> bool:
        """A device that two bound locks share tells nothing."""
        return lock.device == card.device and sum(row.lock.device == card.device for row in self.live()) < 2

    def candidates(self, card: Card, person: Person, by: Person) -> list[Bound]:
        if self.awaited(person, by):
            return []
        return [row for row in self.agreed(card.holder) if row.person == person]

    def awaited(self, person: Person, by: Person) -> str:
        return "" if by == person else self.consent

    def act_for(self, row: Bound, card: Card) -> str:
        sound = row.lock.current not in self.revoked and not row.lost
        return "renew" if self.same_device(row.lock, card) and sound else "replace"

    # --- what can be done

    def bind(self, card: Card, person: Person, by: Person, answer: Bound | str | None) -> str:
        """``answer``, when it was asked what the lock is: a bound one that it renews or replaces, or "another"."""
        if not self.oversees(by, person) or person in self.disabled:
            return "NOT_FOUND"
        if card in self.revoked:
            return "CERTIFICATE_REVOKED"
        if card.holder != PERSON and card.holder != person.organisation:
            return "HOLDER_NOT_ORGANISATION"
        lock = self.lock_of(card)
        if lock is None:
            return self._bind_new_key(card, person, by, answer)
        if lock.binding is None:
            lock.take(card)
            return self._bound(lock, person, by)
        if lock.binding.lost:
            return "LOCK_REPORTED_LOST"
        if lock.binding.person != person:
            return "LOCK_BOUND_TO_OTHER"
        if lock.current == card:
            return "LOCK_ALREADY_BOUND"
        return self._renewed(lock, card)

    def _bind_new_key(self, card: Card, person: Person, by: Person, answer: Bound | str | None) -> str:
        if answer is None and self.candidates(card, person, by):
            return "question"
        if isinstance(answer, Bound) and self.act_for(answer, card) == "renew":
            return self._renewed(answer.lock, card)
        made = Lock(card.device, card, {card.key})
        self.locks.append(made)
        if isinstance(answer, Bound):
            self._end(answer)
        return self._bound(made, person, by)

    def _bound(self, lock: Lock, person: Person, by: Person) -> str:
        lock.binding = Bound(len(self.bindings), lock, person, by, self.awaited(person, by))
        self.bindings.append(lock.binding)
        return "bound"

    def _against(self, lock: Lock, card: Card) -> str:
        if lock.current.holder != card.holder:
            return "LOCK_HOLDER_CHANGED"
        if lock.current in self.revoked:
            return "PREDECESSOR_REVOKED"
        older = card.age < lock.current.age or (card.age == lock.current.age and card in lock.left_behind)
        return "CERTIFICATE_SUPERSEDED" if older else ""

    def _renewed(self, lock: Lock, card: Card) -> str:
        against = self._against(lock, card)
        if not against:
            lock.take(card)
        return against or "renewed"

    def log_in(self, card: Card) -> str:
        if card in self.revoked:
            return "CERTIFICATE_REVOKED"
        lock = self.lock_of(card)
        if lock is None:
            renewed = any(self.same_device(row.lock, card) for row in self.agreed(card.holder))
            return "RENEWAL_NEEDS_STEP_UP" if renewed else "LOCK_NOT_BOUND"
        seen = card == lock.current or card in lock.left_behind
        if seen and lock.current in self.revoked:
            return "CERTIFICATE_REVOKED"
        if seen and card.key != lock.current.key:
            return "CERTIFICATE_SUPERSEDED"
        if lock.binding is None:
            return "LOCK_NOT_BOUND"
        against = "" if seen else self._against(lock, card)
        if against:
            return against
        if card.key != lock.current.key:
            return "RENEWAL_NEEDS_STEP_UP"
        if lock.binding.lost:
            return "LOCK_REPORTED_LOST"
        if lock.binding.awaits:
            return "LOCK_NOT_CONFIRMED"
        if lock.binding.person in self.disabled:
            return "ACCOUNT_DISABLED"
        if not seen:
            lock.take(card)
        return f"in as {lock.binding.person.name}"

    def unbind(self, row: Bound, by: Person) -> str:
        if not self.oversees(by, row.person):
            return "BINDING_NOT_FOUND"
        if not row.live:
            return "BINDING_ALREADY_ENDED"
        others = [one for one in self.live(by) if one.logs_in and one is not row and one.lock.current not in self.revoked]
        if by == row.person and not by.password and not others:
            return "LAST_LOCK"
        self._end(row)
        return "ended"

    def unbind_by_operators(self, row: Bound) -> str:
        if not row.live:
            return "BINDING_ALREADY_ENDED"
        self._end(row)
        return "ended"

    def _end(self, row: Bound) -> None:
        row.live, row.awaits, row.lost, row.lock.binding = False, "", False, None

    def confirm(self, row: Bound, by: Person) -> str:
        administrator = by.administrator and by.organisation == row.person.organisation and by != row.by
        may = {"member": by == row.person, "administrator": administrator and not row.person.administrator}.get(row.awaits)
        if not (row.live and may):
            return "BINDING_NOT_FOUND"
        row.awaits = ""
        return "confirmed"

    def suspend(self, row: Bound, by: Person | None) -> str:
        """``by``: None for an operator."""
        if by is not None and not self.oversees(by, row.person):
            return "BINDING_NOT_FOUND"
        if not row.live:
            return "BINDING_ALREADY_ENDED"
        row.lost = True
        return "lost"

    def resume(self, row: Bound, by: Person, card: Card) -> str:
        """``card``: what their own person answers with; an administrator needs none."""
        if not self.oversees(by, row.person):
            return "BINDING_NOT_FOUND"
        if not row.live:
            return "BINDING_ALREADY_ENDED"
        if not row.lost:
            return "BINDING_NOT_FOUND"
        if by == row.person and card in self.revoked:
            return "CERTIFICATE_REVOKED"
        if by == row.person and (row.awaits or not self._stands_for(row.lock, card)):
            return "STEP_UP_FAILED"
        row.lost = False
        return "resumed"

    def _stands_for(self, lock: Lock, card: Card) -> bool:
        """Whether the card logs in with the lock as it is bound, or after a renewal that a login would take."""
        if card == lock.current:
            return True
        if card.key != lock.current.key or card.holder != lock.current.holder or lock.current in self.revoked:
            return False
        return card in lock.left_behind or card.age >= lock.current.age

    # --- what it comes to

    def standing(self) -> Sequence[tuple[object, ...]]:
        """Each lock: its keys, its current certificate, and who is bound, by whom, waiting for whom, whether it is lost."""
        return sorted(
            (
                sorted(lock.keys), lock.current.name, sorted(card.name for card in lock.left_behind),
                (lock.binding.person.name, lock.binding.by.name, lock.binding.awaits, lock.binding.lost) if lock.binding else (),
            )
            for lock in self.locks
        )  # fmt: skip
