from __future__ import annotations

from django.urls import path

from calock.server.oidc import views

app_name = "oidc"

urlpatterns = [
    path(".well-known/openid-configuration", views.discovery, name="discovery"),
    path("oidc/jwks", views.jwks, name="jwks"),
    path("oidc/authorize", views.authorization, name="authorize"),
    path("oidc/continue/<uuid:key>", views.proceed, name="continue"),
    path("oidc/token", views.token, name="token"),
    path("oidc/userinfo", views.userinfo, name="userinfo"),
    path("oidc/introspect", views.introspect, name="introspect"),
    path("oidc/revoke", views.revoke, name="revoke"),
    path("oidc/logout", views.logout, name="logout"),
    path("oidc/logout/confirmed", views.logout_confirmed, name="logout_confirmed"),
]
