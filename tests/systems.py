# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What systems say in other words (regular expressions), and what some of them, or versions, do not do."""

import os

import pytest
import transformers
from packaging import version


WINDOWS = os.name == "nt"
FILE_EXISTS = ".*exists" if WINDOWS else "File exists"
NO_SUCH_FILE = "not found|cannot find" if WINDOWS else "No such file"
NOT_A_DIRECTORY = ".*exists" if WINDOWS else "Not a directory"
# transformers 5.17 leaves out whole layers that an adapter brings
LOADS_HEADS_OF_ADAPTERS = version.parse(transformers.__version__) >= version.parse("5.18")

ends_by_request = pytest.mark.skipif(WINDOWS, reason="Windows ends processes without asking them")
