import pytest

from server import Tyto


@pytest.fixture
def tyto(tmp_path):
    """A fresh server on an empty folder."""
    with Tyto(tmp_path / "data") as server:
        yield server
