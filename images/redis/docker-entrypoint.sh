#!/bin/sh
# Starts redis with defaults that suit a container; anything on the command line comes after them and wins.
set -eu

case "${1:-}" in
    -*) set -- redis-server "$@" ;; # only options were given
esac

# A configuration file of one's own must come first, and then says everything itself.
if [ "${1:-}" = redis-server ] && [ ! -f "${2:-}" ]; then
    shift
    # protected-mode: it would refuse all other containers. Who may connect is what networks decide here.
    # save: a queue needs no snapshots, and without any redis cannot stop taking votes because a snapshot failed.
    set -- redis-server --protected-mode no --save "" "$@"
fi

exec "$@" # redis becomes process 1 and gets SIGTERM itself
