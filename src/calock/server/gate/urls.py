from __future__ import annotations

from django.urls import path

from calock.server.gate import views

app_name = "gate"

urlpatterns = [
    path("check", views.check, name="check"),
    path("start", views.start, name="start"),
    path("enter", views.enter, name="enter"),
    path("continue/<uuid:key>", views.proceed, name="continue"),
    path("done", views.done, name="done"),
]
