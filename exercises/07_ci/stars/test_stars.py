"""Unit tests: one function, no network, no database. `python3 -m unittest` finds them by name."""

import unittest

from stars import average


class TestAverage(unittest.TestCase):
    def test_all_agree(self):
        assert average({5: 7}) == 5.0

    def test_stars_are_weighed(self):
        assert average({2: 1, 4: 3}) == 3.5

    def test_nobody_has_voted(self):
        assert average({}) == 0
