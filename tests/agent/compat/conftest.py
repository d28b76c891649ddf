from __future__ import annotations

import pytest
import serving


@pytest.fixture
def free_port() -> int:
    return serving.free_port()
