"""The runs of the toy sweep, written once for all tests of step 06 that read files."""

import pytest
from tests.support import toy_comparison


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Return the runs of a complete toy sweep; CLINICAL_CAMEL_ROOT is its project."""
    with pytest.MonkeyPatch.context() as patch:
        yield toy_comparison.build(tmp_path_factory.mktemp("project"), patch)
