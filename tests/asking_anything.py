"""Schemathesis, told what our doors are: it asks whatever their documents allow, and more.

HTTP_EXAMPLES=1000 says how many requests it makes up for each operation, beside the systematic
ones, of which the commands have some 9,000: without it those are left out.
"""

import os
from typing import Any, Final

import msgspec
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

IS_LONG: Final = "HTTP_EXAMPLES" in os.environ
EXAMPLES: Final = int(os.environ.get("HTTP_EXAMPLES", "15"))

bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not IS_LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def described(document: bytes, *, is_long: bool = False, **known: str) -> Any:
    """What is asked about, and how; some parameters have a value that is known there."""
    config = SchemathesisConfig.from_dict(
        {
            "parameters": {f"path.{name}": value for name, value in known.items()},
            "phases": {"coverage": {"enabled": IS_LONG or not is_long}},
            "checks": {
                # The 30th of February is spelt as a day is, and is none; an id may name nothing.
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", 304, 400, 403, 404, 409, 413, 422]
                },
            },
        }
    )
    return schemathesis.openapi.from_dict(msgspec.json.decode(document), config=config)
