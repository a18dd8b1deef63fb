# SPDX-License-Identifier: GPL-2.0
"""The writer of the patch series, which dev/series.sh runs."""
