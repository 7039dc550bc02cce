# The same with the command line only: other names, no stack.sh, the app's own images, a secret in
# a folder of the host, the database's data in memory, certificates by openssl in a container.
export DOCKER_CONFIG=$PWD/credentials
password=$(openssl rand -hex 12)

# node2: the registry; its keys never leave it.
on node2 docker run --rm --volume keys:/keys dockyard/debian:1 \
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=node2 -addext subjectAltName=DNS:node2 \
  -keyout /keys/key.pem -out /keys/cert.pem
on node2 docker run --rm --entrypoint htpasswd dockyard/registry:1 -nbB team "$password" |
  on node2 docker run --rm --interactive --volume keys:/keys dockyard/debian:1 tee /keys/users
on node2 docker run --detach --name store --publish 5000:5000 --volume keys:/keys:ro \
  --env REGISTRY_HTTP_TLS_CERTIFICATE=/keys/cert.pem --env REGISTRY_HTTP_TLS_KEY=/keys/key.pem \
  --env REGISTRY_AUTH=htpasswd --env REGISTRY_AUTH_HTPASSWD_REALM=team \
  --env REGISTRY_AUTH_HTPASSWD_PATH=/keys/users dockyard/registry:1

# node1: trust it, push, and get the digest.
on node2 docker run --rm --volume keys:/keys dockyard/debian:1 cat /keys/cert.pem |
  docker run --rm --interactive --volume /etc/docker:/host dockyard/debian:1 \
    install -D /dev/stdin /host/certs.d/node2:5000/ca.crt
until docker login --username team --password-stdin node2:5000 <<< "$password"; do :; done
docker tag dockyard/worker:1 node2:5000/team/worker:today
docker push --quiet node2:5000/team/worker:today
worker=$(docker inspect --format '{{index .RepoDigests 0}}' node2:5000/team/worker:today)
rm -r credentials

openssl rand -hex 24 | docker run --rm --interactive --volume /srv/secret:/to dockyard/debian:1 \
  tee /to/db > /dev/null
secret=(--mount type=bind,source=/srv/secret/db,target=/db.txt,readonly
  --env POSTGRES_PASSWORD_FILE=/db.txt)
part() {
  local name=$1
  shift
  docker create --name "$name" --network votes --network-alias "${name#my-}" --read-only \
    --cap-drop ALL --security-opt no-new-privileges:true --pids-limit 50 --memory 100m "$@"
  docker start "$name"
}
docker network create votes
part my-redis --user 1234 dockyard/redis:1
part my-db "${secret[@]}" --publish 127.0.0.1:5432:5432 --tmpfs /run/postgresql:uid=999 \
  --tmpfs /var/lib/postgresql/data:uid=999,mode=700 dockyard/postgres:1
part my-worker "${secret[@]}" "$worker"
part my-vote --publish 5000:80 dockyard/vote:1
part my-result "${secret[@]}" --publish 5001:80 --user 4321:4321 dockyard/result:1
