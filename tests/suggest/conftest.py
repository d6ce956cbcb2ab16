import pytest
from suggest_fakes import Machine


@pytest.fixture
def machine(monkeypatch):
    return Machine().install(monkeypatch)
