import pytest


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Make an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
