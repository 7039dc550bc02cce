"""Imports, at build time, whatever the parts import while they run, so that Python keeps it compiled.

A module forgotten here still works; it is only compiled anew at each start.
"""

from importlib import import_module

MODULES = [
    "concurrent.futures.thread",
    "encodings.idna",
    "flask",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "http.cookies",
    "multiprocessing.util",
    "psycopg2.extensions",
    "redis.backoff",
    "redis.retry",
]

for module in MODULES:
    import_module(module)
