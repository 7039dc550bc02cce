#!/bin/sh
# What a trainee did on one day. Run it once, on the host to which `docker` talks.
set -eu
image=dockyard/debian:1

# Volumes without a name: `--volume /data` alone asks for a new one each time.
for trial in 1 2 3; do
  docker run --name "trial-$trial" --label trial --volume /data "$image" sh -c 'echo rubbish > /data/file'
done
# The container is gone, but without `docker rm --volumes` its volume stays.
docker rm trial-3

# A volume with a name that is used no more.
docker run --rm --volume first-try:/data "$image" sh -c 'echo rubbish > /data/file'

# And one that is used once a year.
docker volume create --label keep=yes archive
docker run --rm --volume archive:/archive "$image" sh -c 'echo "1 April: two pencils" > /archive/ledger.txt'
