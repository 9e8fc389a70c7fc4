"""Errors that are expected, by their fields."""

import re
from contextlib import contextmanager

import pytest

from sdtools.errors import SdError


@contextmanager
def fails(**fields):
    """Expect an `SdError` with these fields; a compiled pattern is looked for in its field."""
    with pytest.raises(SdError) as info:
        yield info
    for name, want in fields.items():
        found = getattr(info.value, name)
        if isinstance(want, re.Pattern):
            assert want.search(str(found)), f"{name}: {found!r}"
        else:
            assert found == want, f"{name}: {found!r}"
