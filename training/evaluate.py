# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Multi-view evaluation of a classifier on labelled videos (paper, section 4).

    accelerate launch -m training.evaluate --model runs/tuned/model --output_dir runs/tuned/test \
        --data.sources "[{kind: folder, path: videos/test}]"

`--help` lists every key. The same command goes on where an earlier run was interrupted.
"""

from .cli import leave
from .evaluation.cli import main


if __name__ == "__main__":
    leave(main())
