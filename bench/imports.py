"""Take over accounts of another system: seconds, and the most memory that the process ever had.

usage: python bench/imports.py [LINES] [csv|xlsx] [slow|fast]    DATABASE_URL says where; without it SQLite in a temporary folder

``slow``: PBKDF2 as Django made it, kept as it is; ``fast``: SSHA, each of which costs an Argon2 hash of its own.
"""

from __future__ import annotations

import base64
import os
import resource
import secrets
import sys
import tempfile
import time
from pathlib import Path

import django
import xlsxwriter
from django.core.management import call_command

LINES = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
FORM = sys.argv[2] if len(sys.argv) > 2 else "csv"
HASHES = sys.argv[3] if len(sys.argv) > 3 else "slow"
MAX_SECONDS, MAX_MEGABYTES = 300, 300


def made_up_hash() -> str:
    if HASHES == "fast":
        return "{SSHA}" + base64.b64encode(secrets.token_bytes(24)).decode()
    return f"pbkdf2_sha256$1000000${secrets.token_hex(8)}${base64.b64encode(secrets.token_bytes(32)).decode()}"


def write_list(path: Path) -> None:
    heads = ("账户", "姓名", "外部编号", "密码哈希")
    rows = ((f"nutzer{n:06}", f"张{n}", f"E{n:08}", made_up_hash()) for n in range(LINES))
    if FORM == "csv":
        with path.open("w", encoding="gb18030") as file:
            file.writelines(",".join(row) + "\n" for row in (heads, *rows))
        return
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    sheet = book.add_worksheet()
    for number, row in enumerate((heads, *rows)):
        sheet.write_row(number, 0, row)
    book.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(CALOCK_DATA=folder, CALOCK_INSECURE_HTTP="1", DJANGO_SETTINGS_MODULE="calock.server.process.settings")
        path = Path(folder) / f"accounts.{FORM}"
        made = os.fork()  # what writing the list takes is not what is measured
        if made == 0:
            write_list(path)
            os._exit(0)
        os.waitpid(made, 0)
        django.setup()
        call_command("migrate", verbosity=0)
        for what in ("first", "again"):
            began, cpu = time.monotonic(), time.process_time()
            call_command("import", "accounts", str(path))
            took = time.monotonic() - began
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            busy = time.process_time() - cpu
            print(f"{what}: {LINES} lines of {FORM}, {HASHES} hashes: {took:.1f} s, {busy:.1f} s of CPU, at most {most:.0f} MB")
            if HASHES == "slow":
                assert took < MAX_SECONDS, took
                assert most < MAX_MEGABYTES, most


main()
