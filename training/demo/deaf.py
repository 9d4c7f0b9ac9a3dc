# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Importing it has a process, and those that it starts, leave Ctrl-C to the demo, which ends them.

It is the first that the server of the stages imports: a terminal sends Ctrl-C to all processes at once, and the server
would end while it imports the rest.
"""

import signal


signal.signal(signal.SIGINT, signal.SIG_IGN)
