"""Django settings, derived from ``calock.server.process.config``; nothing here is set by hand."""

from __future__ import annotations

from pathlib import Path

from calock.server import web
from calock.server.process import database, figure_files, logs
from calock.server.process.config import read_config
from calock.server.sites.registry import SITES, site_folders
from calock.wire import driver
from calock.wire.driver import TLS_PORTS

CALOCK = read_config()

SECRET_KEY, *SECRET_KEY_FALLBACKS = CALOCK.secrets
DEBUG = False
ALLOWED_HOSTS = ["*"]  # calock.server.web.site_middleware refuses every host that is not a site's, with a page
ROOT_URLCONF = "calock.server.process.urls"
WSGI_APPLICATION = "calock.server.process.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.Account"

INSTALLED_APPS = [
    "calock.server.console",  # before the admin: its templates take the place of the admin's
    "calock.server.console.apps.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "calock.server.organisations",
    "calock.server.outbox",
    "calock.server.contacts",
    "calock.server.notices",
    "calock.server.accounts",
    "calock.server.approvals",
    "calock.server.providers",
    "calock.server.egress",
    "calock.server.applications",
    "calock.server.grants",
    "calock.server.oidc",
    "calock.server.cas",
    "calock.server.gate",
    "calock.server.receipts",
    "calock.server.locks",
    "calock.server.expiry",
    "calock.server.sessions",
    "calock.server.challenges",
    "calock.server.login",
    "calock.server.audit",
    "calock.server.jobs",
    "calock.server.downloads",
    "calock.server.messaging",
    "calock.server.imports",
    "calock.server.sites",
    "calock.server.portal",
]

# outermost first; each one's place matters
MIDDLEWARE = [
    "calock.server.web.middleware.HeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "calock.server.web.language.LanguageMiddleware",
    "calock.server.web.site_middleware.SiteMiddleware",
    "calock.server.web.middleware.RefusalMiddleware",
    "calock.server.login.session_middleware.SessionMiddleware",
    "calock.server.web.middleware.AddressMiddleware",
    "calock.server.web.middleware.CsrfMiddleware",
    "calock.server.console.messages.ConsoleMessageMiddleware",
]

DATABASES = {"default": database.settings_of(CALOCK.database_url, CALOCK.database_seconds)}

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(web.__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "calock.server.web.template_context.site",
                "calock.server.portal.views.appearance.context",
            ]
        },
    }
]
PASSWORD_HASHERS = [
    "calock.server.accounts.hashers.PasswordHasher",  # makes every new hash
    # of accounts that were imported, until their first login
    "calock.server.accounts.foreign_passwords.Wrapped",
    "calock.server.accounts.foreign_passwords.Bcrypt",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTHENTICATION_BACKENDS: list[str] = []  # nothing logs in past calock.server.login
MESSAGE_STORAGE = "calock.server.console.messages.HostCookieStorage"
USE_TZ = True
TIME_ZONE = driver.TIME_ZONE
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "中文"), ("en", "English")]
STATIC_URL = "static/"
STATIC_ROOT = CALOCK.data / "static"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = not (STATIC_ROOT / "staticfiles.json").exists()  # nothing collected yet: tests, development
STATICFILES_DIRS = [(f"sites/{code}", folder / "static") for code, folder in site_folders(CALOCK.sites).items()]
LOCALE_PATHS = [SITES.parent / "locale"]
SILENCED_SYSTEM_CHECKS = [
    "admin.E408",  # our own session middleware sets request.user
    "admin.E410",  # same, for the session
]

# --- what browsers are told
_DRIVER_PAGES = [f"http://127.0.0.1:{port}" for port in CALOCK.driver_ports] + [f"https://127.0.0.1:{port}" for port in TLS_PORTS]
_DRIVER_EVENTS = [address.replace("http", "ws", 1) for address in _DRIVER_PAGES]
_POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'", *_DRIVER_PAGES, *_DRIVER_EVENTS],
    "form-action": ["'self'", *_DRIVER_PAGES],  # the driver's own window is opened by a form
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
}
CONTENT_SECURITY_POLICY = "; ".join(" ".join((name, *sources)) for name, sources in _POLICY.items())
# the driver's window needs these two: docs/protocol.md, window mode
SECURE_REFERRER_POLICY = "origin-when-cross-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin-allow-popups"
SECURE_HSTS_SECONDS = 0 if CALOCK.insecure_http else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = CALOCK.hsts_subdomains
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_NAME = "csrftoken" if CALOCK.insecure_http else "__Host-csrf"
CSRF_COOKIE_SECURE = not CALOCK.insecure_http
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = not CALOCK.insecure_http  # our sessions have cookies of their own; the console's messages go by these
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "calock.server.web.middleware.csrf_failure"
LANGUAGE_COOKIE_NAME = "language" if CALOCK.insecure_http else "__Host-language"
LANGUAGE_COOKIE_SECURE = not CALOCK.insecure_http
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
FILE_UPLOAD_HANDLERS = [
    "calock.server.web.uploads.BoundedUploads",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "calock.server.web.static_files.Storage"},
}
LOGGING = logs.LOGGING
logs.configure()
figure_files.make_room()  # before any module counts; nothing is done but in processes of `calock serve`
