@rem Double-click me: runs install.ps1 for the current user only.
@powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0install.ps1" %*
@pause
