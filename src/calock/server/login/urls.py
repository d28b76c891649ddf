from __future__ import annotations

from django.urls import path

from calock.server.login import views

urlpatterns = [path("login", views.login)]
