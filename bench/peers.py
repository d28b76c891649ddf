# ruff: noqa: E402 - the path comes first
"""What a login with a P-256 certificate costs calock, LemonLDAP::NG and Keycloak behind one nginx with TLS: CPU of every process.

Run: ``python bench/peers.py [--logins N] [--rounds N] [--warm N]``. One nginx with one worker ends TLS for all, each login on a new
connection with a full handshake; in turns, in the same run. calock: challenge and answer, as ``ops/nginx/calock.conf`` passes them,
revocation checked, receipt and audit row written. The others: one request with the certificate of the TLS connection, which nginx
verifies against the CA, answered by the redirect to the application. LemonLDAP::NG is Debian's, configured as packaged but for the
certificate, and "stripped": without login history and notifications. Keycloak is its distribution of Maven Central, with
PostgreSQL, and believes nginx' verification. Neither is told to check revocation. What is not to be had is said in a line.
``--warm``: logins before it counts, of Keycloak: Java compiles what is used often.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from measuring import PEOPLE, ROOT, Cost, Goals, children, chosen, database, ratio, turns, use_this_checkout

use_this_checkout()
sys.path.append(str(ROOT / "tests" / "server" / "relying_parties"))
from field import Field
from platforms.calock import Calock
from platforms.ground import Ground
from platforms.keycloak import Keycloak
from platforms.lemonldap import LemonLdap
from platforms.peer import MissingError, Peer
from serving import start_nginx

GOALS = {"LemonLDAP::NG, stripped": 0.75, "Keycloak": 0.35}
"""At most so much of it."""


def started(ground: Ground) -> list[Peer]:
    """calock, and of the others those that are to be had."""
    wishes: Sequence[Callable[[], Peer]] = (
        lambda: Calock(ground),
        lambda: LemonLdap(ground, "LemonLDAP::NG, packaged"),
        lambda: LemonLdap(ground, "LemonLDAP::NG, stripped", loginHistoryEnabled=0, notification=0),
        lambda: Keycloak(ground),
    )
    found = []
    for wish in wishes:
        try:
            found.append(wish())
        except MissingError as missing:
            print(missing, flush=True)
    return found


def turn_of(peer: Peer, nginx: int) -> Cost:
    """People who log in at one peer, all at once: what nginx, its own processes and PostgreSQL spend."""
    acts = [peer.person(person) for person in peer.ground.people]
    pool = ThreadPoolExecutor(PEOPLE)

    def run(count: int) -> None:
        def some(act: Callable[[], None]) -> None:
            for _ in range(count // PEOPLE):
                act()

        list(pool.map(some, acts))

    return Cost([partial(children, nginx), peer.processes, database(peer.ground.field)], run)


def main() -> int:
    asked = chosen(logins=100, rounds=7, warm=1500)
    field, goals = Field("postgresql"), Goals()
    ground = Ground(field)
    try:
        peers = started(ground)
        nginx = start_nginx(ground.place, "".join(peer.servers for peer in peers))
        try:
            measured = {peer.name: turn_of(peer, nginx.pid) for peer in peers}
            for name, cost in measured.items():
                cost.run(asked.warm if name == "Keycloak" else 100)
            found = turns({name: partial(cost.of, asked.logins) for name, cost in measured.items()}, asked.rounds)
        finally:
            nginx.terminate()
            nginx.wait(30)
    finally:
        ground.close()
        field.close()
    print(f"CPU ms of a login, nginx + own processes + PostgreSQL, P-256, {asked.rounds} x {asked.logins} in turns")
    for name, values in found.items():
        reached = ratio(found["calock"], values)
        goal = f"   {goals.at_most(reached, GOALS[name])}" if name in GOALS else ""
        parts = " + ".join(f"{part:.2f}" for part in measured[name].medians())
        print(f"{name:<26} best {min(values):6.2f} ms, medians {parts}, calock / it {reached:.2f}{goal}")
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
