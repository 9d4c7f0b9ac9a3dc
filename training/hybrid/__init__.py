# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The hybrid data sets of the paper: Kinetics-710 and UnlabeledHybrid (3.3, C.1, C.2, Table 8)."""
