# Part of the Voting App and the staff's news page, all on Docker's default bridge.
set -eu
docker run --detach --name redis dockyard/redis:1
docker run --detach --name vote dockyard/vote:1
docker run --detach --name news --publish 8080:80 dockyard/python:1 \
  python3 -m http.server --directory /srv 80

# Three people have voted on paper. redis keeps votes in memory, and nowhere else.
until docker exec redis redis-cli ping >/dev/null 2>&1; do :; done
for voter in paper-1 paper-2 paper-3; do
  docker exec redis redis-cli rpush votes "{\"voter_id\": \"$voter\", \"vote\": \"a\"}"
done
