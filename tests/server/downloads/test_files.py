"""The files themselves: resumable, under their right names, only unchanged ones, by id and by nothing else (A82, A84, A85)."""

from __future__ import annotations

import base64
import json
import os
from datetime import date, datetime
from email.message import Message
from urllib.parse import unquote

import pytest
from django.test import Client
from django.utils import timezone
from worlds.browser import Browser
from worlds.driver_packages import make_package
from worlds.practice import HOST

from calock.server.audit.models import AuditEvent
from calock.server.downloads import store
from calock.server.downloads.services import count_download, withdraw_package
from calock.server.sessions.context import RequestContext


@pytest.fixture
def client(db):
    return Client(headers={"host": HOST})


def address(package) -> str:
    return f"/downloads/{package.pk}/"


def body(answer) -> bytes:
    return b"".join(answer.streaming_content)  # the test client closes the answer at its end


def drop(answer) -> None:
    """Stop reading, as when the connection breaks; the test client then closes the answer."""
    answer._iterator.close()


def count(package) -> int:
    package.refresh_from_db()
    return package.downloads


def test_a_whole_download(client, upload):
    data = make_package()
    package = upload(data)
    answer = client.get(address(package))
    assert answer.status_code == 200
    assert body(answer) == data
    assert answer["Content-Length"] == str(len(data))
    assert answer["Content-Type"] == "application/zip"
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["ETag"] == f'"{package.sha256}"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert count(package) == 1
    assert AuditEvent.objects.filter(event="package:downloaded", subject=package.pk).count() == 1


def test_downloads_are_counted_by_the_week_they_began_in(client, upload):
    package = upload(make_package())
    sunday, monday = (datetime(2026, 11, day, hour, tzinfo=timezone.get_default_timezone()) for day, hour in ((22, 23), (23, 0)))
    for at in (sunday, monday, monday):
        context = RequestContext(site="shanxi", origin="", ip="192.0.2.1", user_agent="", browser="", session=None, at=at)
        count_download(package=package, context=context)
    assert list(package.weeks.values_list("monday", "count")) == [(date(2026, 11, 23), 2), (date(2026, 11, 16), 1)]
    assert count(package) == 3


def test_the_name_is_the_one_a_person_looks_for(client, upload):
    """A85, S-10: attachment, RFC 6266 with the Chinese name."""
    told = client.get(address(upload()))["Content-Disposition"]
    assert told.startswith("attachment")
    assert told.isascii()
    assert unquote(told.partition("filename*=utf-8''")[2]) == "山西互认驱动-1.0.0-linux-x86_64.zip"
    assert 'filename="shanxi-huren-1.0.0-linux-x86_64.zip"' in told  # for tools that do not read the other


@pytest.mark.parametrize("name", ['a"; filename=x.exe', "a\r\nSet-Cookie: x=1", "a\u202egpj.exe", "页面.html"])
def test_a_hostile_name_in_the_row_stays_a_name(client, upload, name):
    """A85: even a row that somebody changed behind our back makes one header with one name."""
    package = upload()
    package.file_name = name
    package.save()
    answer = client.get(address(package))
    header = Message()
    header["Content-Disposition"] = answer["Content-Disposition"]
    assert header.get_content_disposition() == "attachment"
    assert answer.headers.get("Set-Cookie") is None
    assert "\n" not in answer["Content-Disposition"]
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-", 0, None), ("bytes=100-", 100, None), ("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=-5", -5, None),
     ("bytes=3-99999999", 3, None), ("BYTES = 7-8", 7, 9)],
)  # fmt: skip
def test_a_range(client, upload, asked, start, stop):
    data = make_package()
    answer = client.get(address(upload(data)), headers={"range": asked})
    assert answer.status_code == 206
    assert body(answer) == data[start:stop]
    first = start if start >= 0 else len(data) + start
    assert answer["Content-Range"] == f"bytes {first}-{(stop or len(data)) - 1}/{len(data)}"
    assert answer["Content-Length"] == str(len(data[start:stop]))


@pytest.mark.parametrize(
    "asked", ["", "bytes", "bytes=-", "bytes=a-b", "bytes=9-3", "items=0-1", "bytes=0-1,5-9", "bytes=" + "0-1," * 5000, "bytes=١-٢"]
)
def test_a_range_we_need_not_understand_gives_the_whole(client, upload, asked):
    data = make_package()
    answer = client.get(address(upload(data)), headers={"range": asked})
    assert answer.status_code == 200
    assert body(answer) == data


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0", "bytes=9999999999999999999-"])
def test_a_range_behind_the_end(client, upload, asked):
    package = upload()
    answer = client.get(address(package), headers={"range": asked})
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{package.size}"
    assert count(package) == 0


def test_a_download_that_broke_off_is_resumed_and_counted_once(client, upload):
    data = make_package(files={"wheels/big.whl": os.urandom(1_000_000)})
    package = upload(data)
    first = client.get(address(package))
    got = next(iter(first.streaming_content))
    drop(first)
    assert 0 < len(got) < len(data)
    assert count(package) == 1
    rest = client.get(address(package), headers={"range": f"bytes={len(got)}-", "if-range": first["ETag"]})
    assert rest.status_code == 206
    assert got + body(rest) == data
    assert count(package) == 1


def test_a_resumed_download_of_another_file_starts_over(client, upload):
    data = make_package()
    answer = client.get(address(upload(data)), headers={"range": "bytes=10-", "if-range": '"another"'})
    assert answer.status_code == 200
    assert body(answer) == data


def test_if_range_by_date(client, upload):
    package = upload()
    known = client.head(address(package))["Last-Modified"]
    assert client.get(address(package), headers={"range": "bytes=10-", "if-range": known}).status_code == 206
    old = "Mon, 01 Jan 2024 00:00:00 GMT"
    assert client.get(address(package), headers={"range": "bytes=10-", "if-range": old}).status_code == 200


def test_peeking_at_the_end_is_no_download(client, upload):
    package = upload(make_package(files={"wheels/big.whl": os.urandom(100_000)}))
    body(client.get(address(package), headers={"range": "bytes=-1"}))
    assert count(package) == 0


def test_head_tells_everything_and_counts_nothing(client, upload):
    package = upload()
    answer = client.head(address(package))
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer["Content-Length"] == str(package.size)
    assert "attachment" in answer["Content-Disposition"]
    assert count(package) == 0


def test_unchanged_since(client, upload):
    package = upload()
    answer = client.get(address(package), headers={"if-none-match": f'W/"x", "{package.sha256}"'})
    assert answer.status_code == 304
    assert answer.content == b""
    assert (
        client.get(address(package), headers={"if-modified-since": client.head(address(package))["Last-Modified"]}).status_code
        == 304
    )
    assert count(package) == 0


@pytest.mark.parametrize(
    "path",
    ["/downloads/../../etc/passwd", "/downloads/%2e%2e%2f%2e%2e%2fetc/passwd", "/downloads/..\\..\\x/", "/downloads//etc/passwd",
     "/downloads/a%00b/", "/downloads/%c0%ae%c0%ae/", "/downloads/00000000-0000-0000-0000-000000000000/", "/downloads/x/"],
)  # fmt: skip
def test_files_have_ids_not_paths(client, upload, path):
    """A82."""
    upload()
    assert client.get(path).status_code in (400, 404)


def test_a_link_in_the_store_is_not_followed(client, upload, tmp_path):
    """A82: whoever can write into the store cannot make it serve another file."""
    package = upload()
    secret = tmp_path / "secret"
    secret.write_bytes(store.path_of(package.sha256).read_bytes())
    store.path_of(package.sha256).unlink()
    store.path_of(package.sha256).symlink_to(secret)
    assert client.get(address(package)).status_code == 503


@pytest.mark.parametrize("damage", ["longer", "shorter", "same size", "same size and time", "gone"])
def test_a_swapped_file_is_never_served(client, upload, damage):
    """A84: also when it had been served before, and when its size and times look the same."""
    package = upload()
    body(client.get(address(package)))
    path = store.path_of(package.sha256)
    before = path.stat()
    path.chmod(0o600)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"longer": b"x" * (package.size + 1), "shorter": b"x"}.get(damage, b"x" * package.size))
    if damage == "same size and time":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    answer = client.get(address(package))
    assert answer.status_code == 503
    assert AuditEvent.objects.filter(reason="PACKAGE_DAMAGED").count() == 1


def test_a_file_is_hashed_once_not_at_every_download(client, upload, monkeypatch):
    package = upload()
    hashed = []
    real = store.hashlib.file_digest
    monkeypatch.setattr(store.hashlib, "file_digest", lambda *args: hashed.append(1) or real(*args))
    store._known_good.clear()
    for _ in range(3):
        body(client.get(address(package)))
    assert len(hashed) == 1


def test_a_withdrawn_version_names_the_newer_one(client, upload, operator):
    old, new = upload(version="1.0.0"), upload(version="1.1.0")
    withdraw_package(package=old, reason="坏了", by=operator, context=None)
    answer = client.get(address(old))
    assert answer.status_code == 410
    page = answer.content.decode()
    assert f"http://{HOST}{address(new)}" in page
    assert "1.1.0" in page
    assert AuditEvent.objects.filter(reason="PACKAGE_WITHDRAWN").count() == 1


def test_a_withdrawn_version_without_a_newer_one(client, upload, operator):
    package = upload()
    withdraw_package(package=package, reason="坏了", by=operator, context=None)
    answer = client.get(address(package))
    assert answer.status_code == 410
    assert "/downloads/" in answer.content.decode()


def test_drafts_and_other_sites_packages_do_not_exist(client, upload):
    assert client.get(address(upload(publish=False))).status_code == 404
    assert client.get(address(upload(version="1.2.0", sites=["zcy"]))).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_files_are_only_read(client, upload, method):
    assert getattr(client, method)(address(upload())).status_code in (403, 405)


def test_the_part_that_the_event_loop_sends_is_the_part_that_was_asked_for(client, upload):
    data = make_package()
    answer = client.get(address(upload(data)), headers={"range": "bytes=10-19"})
    part = answer.file_part
    part.file.seek(part.start)
    assert part.file.read(part.stop - part.start) == data[10:20]


def test_the_newest_release_for_the_driver(client, upload):
    upload(version="1.0.0")
    data = make_package(version="1.2.0")
    newest = upload(data)
    upload(version="1.3.0", publish=False)
    told = client.get("/downloads/release/shanxi-huren/linux/x86_64/").json()
    assert told["path"] == address(newest)
    assert (told["size"], told["sha256"]) == (len(data), newest.sha256)
    assert json.loads(told["manifest"])["version"] == "1.2.0"
    base64.b64decode(told["signature"], validate=True)


@pytest.mark.parametrize("path", ["nothing/linux/x86_64", "shanxi-huren/windows/x86_64", "shanxi-huren/linux/..%2f", "a/b/c/d"])
def test_no_release(client, upload, path):
    upload()
    assert client.get(f"/downloads/release/{path}/").status_code == 404


def test_the_page_offers_what_is_published(upload, operator):
    old, new, draft = upload(version="1.0.0"), upload(version="1.1.0"), upload(version="1.2.0", publish=False)
    withdraw_package(package=old, reason="坏了", by=operator, context=None)
    page = Browser().client.get("/guide/downloads/ca/").content.decode()
    assert address(new) in page
    assert new.sha256 in page
    assert new.sm3 in page
    assert address(old) not in page
    assert address(draft) not in page
