"""Libraries that are imported when they are needed, and what is said when they are missing."""

import json
import sys

import pytest

import cmeta
from cmeta.extras import require


def test_a_library_that_is_there_is_returned():
    assert require("json", "arrow") is json
    assert require("json.decoder", "arrow") is json.decoder


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.inner"])
def test_a_missing_one_is_named_with_its_extra(module):
    with pytest.raises(cmeta.MissingExtraError) as caught:
        require(module, "plot")
    assert (
        str(caught.value) == "needs no_such_library: pip install no_such_library (the extra 'plot')"
    )
    assert isinstance(caught.value, ImportError)


def test_one_that_lacks_something_else_keeps_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library") as caught:
        require("half_installed", "plot")
    assert not isinstance(caught.value, cmeta.MissingExtraError)
    assert "half_installed" not in sys.modules
