"""The benchmarks: `make bench`, or `python -m bench [SECTION…]`.

Each figure stands beside its floor or a peer from the same run, so that the ratios hold on any
machine; seconds alone would not. No test depends on them.
"""
