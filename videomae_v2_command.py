# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Start of the console command `videomae-v2`, which answers --help and wrong arguments without waiting for PyTorch.

It stands beside the package because whatever is imported from a package runs its `__init__` first, and that of
`modeling_videomae_v2` imports PyTorch and transformers, to register its classes with them: that takes seconds. Here the
`__init__` runs when the first public name is asked for, which every command does before it opens a checkpoint.
"""

import importlib.util
import sys
from typing import Any


PACKAGE = "modeling_videomae_v2"


def main() -> None:
    """Run the command line."""
    spec = importlib.util.find_spec(PACKAGE)
    package = importlib.util.module_from_spec(spec)

    def run_init(name: str) -> Any:
        del package.__getattr__
        spec.loader.exec_module(package)
        return getattr(package, name)

    package.__getattr__ = run_init  # asked for what the module does not have
    sys.modules[PACKAGE] = package
    from modeling_videomae_v2.__main__ import main as start

    start()


if __name__ == "__main__":
    main()
