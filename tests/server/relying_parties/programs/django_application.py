"""A Django application that logs people in with mozilla-django-oidc, as its manual has it.

usage: python django_application.py '{"issuer": …, "port": …, "client": …, "secret": …, "place": FOLDER}'
"""

from __future__ import annotations

import json
import os
import sys
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import include, path

told = json.loads(sys.argv[1])
issuer = told["issuer"]
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
settings.configure(
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{told['place']}/db.sqlite3"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "mozilla_django_oidc"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "mozilla_django_oidc.middleware.SessionRefresh",
    ],
    AUTHENTICATION_BACKENDS=[f"{__name__}.BySubject"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
    OIDC_RP_CLIENT_ID=told["client"],
    OIDC_RP_CLIENT_SECRET=told["secret"],
    OIDC_RP_SCOPES="openid profile",
    OIDC_RP_SIGN_ALGO="RS256",
    OIDC_USE_PKCE=True,
    OIDC_OP_AUTHORIZATION_ENDPOINT=f"{issuer}/oidc/authorize",
    OIDC_OP_TOKEN_ENDPOINT=f"{issuer}/oidc/token",
    OIDC_OP_USER_ENDPOINT=f"{issuer}/oidc/userinfo",
    OIDC_OP_JWKS_ENDPOINT=f"{issuer}/oidc/jwks",
    OIDC_AUTH_REQUEST_EXTRA_PARAMS={"acr_values": "urn:calock:acr:lock"},
    OIDC_EXEMPT_URLS=["later"],
    OIDC_STORE_ID_TOKEN=True,
    OIDC_TOKEN_USE_BASIC_AUTH=True,
    LOGIN_REDIRECT_URL="/",
    LOGIN_REDIRECT_URL_FAILURE="/failed",
    SESSION_COOKIE_NAME="own",
)
django.setup()
from mozilla_django_oidc.auth import OIDCAuthenticationBackend  # noqa: E402 - Django is set up first


class BySubject(OIDCAuthenticationBackend):
    """People are found by ``sub``, as the manual advises where the platform tells no mail address."""

    def filter_users_by_claims(self, claims):
        return self.UserModel.objects.filter(username=claims["sub"])

    def get_username(self, claims):
        return claims["sub"]


def own(request: HttpRequest) -> JsonResponse:
    """Who is in."""
    return JsonResponse({"user": request.user.get_username(), "id_token": request.session.get("oidc_id_token", "")})


def later(request: HttpRequest) -> JsonResponse:
    """As if the quarter of an hour were over after which the platform is asked silently whether the session lasts."""
    request.session["oidc_id_token_expiration"] = 0
    return JsonResponse({})


urlpatterns = [
    path("oidc/", include("mozilla_django_oidc.urls")),
    path("", own),
    path("failed", own),
    path("later", later, name="later"),
]

if __name__ == "__main__":
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    make_server("127.0.0.1", told["port"], get_wsgi_application()).serve_forever()
