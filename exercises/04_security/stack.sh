#!/bin/sh
# The Voting App on one host, as a colleague left it: it works, and that is all.
# `sh stack.sh` replaces all five containers. So change a line, and run it again.
set -eu

docker network inspect app > /dev/null 2>&1 || docker network create app
docker ps --all --quiet --filter network=app | xargs --no-run-if-empty docker rm --force

docker build --quiet --tag worker worker/

# What all five have in common. Used without quotes, so that each word is an option of its own.
common="--detach --network app"

docker run $common --name redis \
  dockyard/redis:1

# The port is for the administrator, who works on this host.
docker run $common --name db \
  --publish 5432:5432 \
  --env POSTGRES_PASSWORD=snowwhite-1937 \
  dockyard/postgres:1

docker run $common --name worker \
  --volume /var/run/docker.sock:/var/run/docker.sock \
  worker

# The page is in a volume, where the designers can change it.
docker run $common --name vote \
  --publish 5000:80 \
  --user root \
  --volume page:/app/templates \
  dockyard/vote:1

docker run $common --name result \
  --publish 5001:80 \
  --user root --cap-add NET_ADMIN \
  --env POSTGRES_PASSWORD=snowwhite-1937 \
  dockyard/result:1
