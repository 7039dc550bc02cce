# Every night: make room on the host.
docker image prune --force
docker volume prune --force
