"""Hypothesis profiles, chosen by HYPOTHESIS_PROFILE.

ci       the default: few examples and always the same ones, so that a test that passed passes
dev      more examples, and new ones in every run; failures are remembered in .hypothesis/
nightly  many examples, for a machine that has the night
"""

import os

import pytest
from hypothesis import HealthCheck, settings

_COMMON = {
    "deadline": None,  # a shared machine may be slow at any moment
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "print_blob": True,
}

settings.register_profile("ci", max_examples=25, derandomize=True, database=None, **_COMMON)
settings.register_profile("dev", max_examples=100, **_COMMON)
settings.register_profile("nightly", max_examples=5000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Let no test write to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMETA_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield
