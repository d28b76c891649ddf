"""Ending an operation that is under way, by the page that asked for it, and the limit for a look at the tokens."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from agent.driving import CHALLENGE, ORIGIN, PIN, DriverProcess, Events, Reply, make_lock, until

OTHER = "https://other.gov.example"


@pytest.fixture
def slow(start, tmp_path: Path) -> Iterator[tuple[DriverProcess, Path]]:
    """A driver whose module stops in the middle of a signature until the file ``go`` is there."""
    folder = tmp_path / "slow"
    make_lock(folder)
    (folder / "fault").write_text("slow in sign")
    yield start(soft_dir=folder, faulty=True, origins=[ORIGIN, OTHER]), folder
    (folder / "go").touch()


def signing(driver: DriverProcess, folder: Path, pool: ThreadPoolExecutor, pin: str = PIN) -> Future[Reply]:
    lock = until(driver.locks, "the lock")[0]["id"]
    answer = pool.submit(driver.authenticate, lock, pin)
    until((folder / "signing").exists, "the signature to begin")
    return answer


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as found:
        yield found


def test_a_page_ends_its_own_operation_and_the_lock_works_at_once_again(slow, pool: ThreadPoolExecutor) -> None:
    driver, folder = slow
    answer = signing(driver, folder, pool)
    assert driver.authenticate().reason == "DRIVER_BUSY"
    assert driver.call("/v1/cancel").json == {"cancelled": True}
    assert (answer.result().status, answer.result().reason) == (409, "OPERATION_CANCELLED")
    (folder / "fault").unlink()
    assert driver.authenticate(until(driver.locks, "the lock")[0]["id"]).status == 200
    assert driver.problems() == []


def test_no_other_page_ends_it(slow, pool: ThreadPoolExecutor) -> None:
    driver, folder = slow
    answer = signing(driver, folder, pool)
    assert driver.call("/v1/cancel", origin=OTHER).json == {"cancelled": False}
    (folder / "go").touch()
    assert answer.result().status == 200


def test_there_is_nothing_to_end(slow) -> None:
    driver, _ = slow
    assert driver.call("/v1/cancel").json == {"cancelled": False}


def test_a_browser_that_closes_the_request_ends_it(slow) -> None:
    driver, folder = slow
    abandon(driver, folder, PIN)
    (folder / "fault").unlink()
    until(lambda: driver.authenticate(until(driver.locks, "the lock")[0]["id"]).status == 200, "the driver to be free again")


def abandon(driver: DriverProcess, folder: Path, pin: str) -> None:
    """Ask for a signature and close the connection while it is made."""
    (folder / "signing").unlink(missing_ok=True)
    lock = until(driver.locks, "the lock")[0]["id"]
    connection = http.client.HTTPConnection("127.0.0.1", driver.port)
    headers = {"Content-Type": "application/json", "X-Calock": "1", "Origin": ORIGIN}
    connection.request("POST", "/v1/authenticate", json.dumps({"lock": lock, "challenge": CHALLENGE, "pin": pin}), headers)
    until((folder / "signing").exists, "the signature to begin")
    connection.close()
    until(lambda: driver.call("/v1/cancel").json == {"cancelled": False}, "the operation to end")


def test_closing_one_tab_leaves_the_operation_of_another_tab_alone(slow, pool: ThreadPoolExecutor) -> None:
    """The one tab's PIN is changed, and its list is read anew; meanwhile the other asks for a signature."""
    driver, folder = slow
    lock = until(driver.locks, "the lock")[0]["id"]
    (folder / "fault").write_text("slow list in change")
    connection = http.client.HTTPConnection("127.0.0.1", driver.port)
    headers = {"Content-Type": "application/json", "X-Calock": "1", "Origin": ORIGIN}
    connection.request("POST", "/v1/pin/change", json.dumps({"lock": lock, "oldPin": PIN, "newPin": "135791"}), headers)
    until((folder / "listing").exists, "the list to be read")
    answers = {pool.submit(driver.authenticate, lock, "135791") for _ in range(2)}
    busy, waiting = wait(answers, return_when=FIRST_COMPLETED)
    assert [answer.result().reason for answer in busy] == ["DRIVER_BUSY"]
    connection.close()
    assert driver.call("/v1/hello").status == 200
    (folder / "go").touch()
    assert [answer.result().status for answer in waiting] == [200]


def test_wrong_pins_are_not_hidden_by_closing_the_request(slow) -> None:
    """What came of a try is not known then: it counts as wrong."""
    driver, folder = slow
    for _ in range(2):
        abandon(driver, folder, "999999")
    assert driver.authenticate(until(driver.locks, "the lock")[0]["id"]).reason == "PIN_WINDOW_ONLY"


def test_a_module_that_hangs_between_two_requests_is_noticed(start, tmp_path: Path) -> None:
    make_lock(tmp_path / "locks")
    driver = start(soft_dir=tmp_path / "locks", faulty=True)
    until(driver.locks, "the lock")
    with Events(driver.port) as events:
        events.next()
        (tmp_path / "locks" / "fault").write_text("hang in poll")
        events.next()
        assert driver.problems() == [("locks", "MODULE_NOT_ANSWERING")]
