from __future__ import annotations

from django.urls import path

from calock.server.challenges import views

urlpatterns = [path("challenge", views.challenge)]
