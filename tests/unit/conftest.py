import pytest
from tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def experiment(tmp_path_factory):
    """A folder with exp/fusion/model, for examples in docstrings."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "exp/fusion").mkdir(parents=True)
    write_tiny_model(folder / "exp/fusion/model", folder / "gmms")
    return folder


@pytest.fixture
def doctest_globals(tmp_path, monkeypatch, experiment):
    """What examples in docstrings may use; they run in a folder of their own."""
    import numpy as np

    (tmp_path / "exp").symlink_to(experiment / "exp")
    monkeypatch.chdir(tmp_path)
    return {"np": np}
