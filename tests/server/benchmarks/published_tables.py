"""Tables in the form of published ones, and what their readers refuse."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
CODE = st.text(alphabet="ab =()\n\té𝄞\u2028\x0c", min_size=1, max_size=60)


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def refused(read, path):
    with pytest.raises(ValueError, match=str(path)) as raised:
        list(read(path))
    return str(raised.value)
