from __future__ import annotations

from django.urls import path

from calock.server.cas import views

app_name = "cas"

urlpatterns = [
    path("login", views.login, name="login"),
    path("continue/<uuid:key>", views.proceed, name="continue"),
    path("serviceValidate", views.service_validate, name="validate"),
    path("p3/serviceValidate", views.service_validate, name="p3_validate"),
    path("logout", views.logout, name="logout"),
    path("logout/confirmed", views.logout_confirmed, name="logout_confirmed"),
]
