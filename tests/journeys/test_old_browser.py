"""The last Chromium of Windows 7 is 109: pages need nothing of the language that came later."""

from __future__ import annotations

import pytest

from journeys.people import Person, tail_of

LATER = """
for (const name of ["toSorted", "toReversed", "toSpliced", "with"]) delete Array.prototype[name];
for (const name of ["union", "intersection", "difference"]) delete Set.prototype[name];
for (const holder of [Promise, Object, Map, Array, URL]) {
  for (const name of ["withResolvers", "try", "groupBy", "fromAsync", "canParse", "parse"]) delete holder[name];
}
"""


@pytest.mark.parametrize(("site", "owner"), [("shanxi", "cssbjgys02"), ("zcy", "yuhaiqin")])
def test_locks_are_offered_for_login_and_for_binding(person: Person, site: str, owner: str) -> None:
    person.site = site
    person.page.add_init_script(LATER)
    tail = tail_of(person.platform, "rsa")
    person.choose_lock(person.open_ca_login(), tail)
    person.enter(owner)
    person.choose_lock(person.open_bind_dialog(), tail)
