"""The server's settings on a throw-away data directory; CALOCK_TEST_DATABASE_URL runs the same tests on PostgreSQL."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_data = tempfile.mkdtemp(prefix="calock-test-")
atexit.register(shutil.rmtree, _data, ignore_errors=True)
os.environ["CALOCK_DATA"] = _data
os.environ["CALOCK_INSECURE_HTTP"] = "1"
os.environ.pop("DATABASE_URL", None)
if "CALOCK_TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["CALOCK_TEST_DATABASE_URL"]

from calock.server.process.settings import *  # noqa: E402, F403 - the environment comes first

WHITENOISE_AUTOREFRESH = True  # look for a file when it is asked for: each test's client would list them all
PASSWORD_HASHERS = ["worlds.cheap_passwords.Hasher", *PASSWORD_HASHERS[1:]]  # noqa: F405 - from the line above
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405 - from the line above
    # a file, as in production: an in-memory database shared by threads locks whole tables and never waits
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(_data, "test.sqlite3")}  # noqa: F405, PTH118
