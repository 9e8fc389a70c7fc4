import pytest


@pytest.fixture
def doctest_globals(tmp_path, monkeypatch):
    """What examples in docstrings may use; they run in a folder of their own."""
    import numpy as np

    monkeypatch.chdir(tmp_path)
    return {"np": np}
