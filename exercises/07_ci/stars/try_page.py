"""An integration test: votes as a visitor of http://page/ would, with a real redis behind it.

Ends with 0 if the page shows the right average, else with 1. It expects a redis without votes.
"""

import json
import time
from urllib.error import URLError
from urllib.request import urlopen


def wait_for_page(seconds=30):
    end = time.monotonic() + seconds
    while True:
        try:
            return urlopen("http://page/", timeout=5)
        except URLError:  # it is not up yet, or redis is not
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


wait_for_page()
urlopen("http://page/5", data=b"")
urlopen("http://page/2", data=b"")
shown = json.load(urlopen("http://page/"))
print("The page shows", shown)
assert shown == {"people": 2, "average": 3.5}, "expected 2 people, average 3.5"
