"""Django settings, derived from ``calock.server.config``; nothing here is set by hand."""

from __future__ import annotations

import dj_database_url

from calock.server.config import read_config

CALOCK = read_config()

SECRET_KEY = CALOCK.secret_key
DEBUG = False
ALLOWED_HOSTS = ["*"]  # calock.server.sites.middleware refuses every host that is not a site's, with a page
ROOT_URLCONF = "calock.server.urls"
WSGI_APPLICATION = "calock.server.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.Account"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "calock.server.organisations",
    "calock.server.accounts",
    "calock.server.providers",
    "calock.server.locks",
    "calock.server.sessions",
    "calock.server.login",
    "calock.server.audit",
    "calock.server.downloads",
    "calock.server.sites",
    "calock.server.portal",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
]

DATABASES = {"default": dj_database_url.parse(CALOCK.database_url)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["OPTIONS"] = {"server_side_binding": True, "prepare_threshold": 2}
DATABASES["default"]["CONN_MAX_AGE"] = None

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "中文"), ("en", "English")]
STATIC_URL = "static/"
STATIC_ROOT = CALOCK.data / "static"
SILENCED_SYSTEM_CHECKS = [
    "admin.E408",  # our own session middleware sets request.user
    "admin.E410",  # same, for the session
]
