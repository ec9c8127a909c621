"""The version that requests name in their User-Agent; pyproject.toml has the same."""

__version__ = "0.1.0"
