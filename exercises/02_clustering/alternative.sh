# The same without a stack file and with other names: services, made and changed one by one.
token=$(docker swarm init --advertise-addr eth0 >/dev/null && docker swarm join-token -q worker)
on node2 docker swarm join --token "$token" node1:2377
on node3 docker swarm join --token "$token" node1:2377
docker node update --label-add disk=ssd node2
docker network create --driver overlay --attachable votes

create() {
  local name=$1 image=$2
  shift 2
  docker service create --detach --no-resolve-image --name "$name" --network votes \
    --endpoint-mode "$ENDPOINT_MODE" --restart-delay 1s "$@" "dockyard/$image:1"
}
create redis redis
create db postgres --env POSTGRES_PASSWORD=postgres --constraint node.labels.disk==ssd \
  --mount type=volume,source=votes,target=/var/lib/postgresql/data
create tally worker
create page vote --publish "published=5000,target=80,mode=$PUBLISH_MODE"
create result result --publish "published=5001,target=80,mode=$PUBLISH_MODE"

docker service update --detach --replicas 3 --update-parallelism 1 --update-delay 3s page
docker service update --network-rm votes --network-add name=votes,alias=vote \
  --env-add OPTION_A=Tea --env-add OPTION_B=Coffee --no-resolve-image page
docker node update --availability drain --label-add maintained=today node3
docker node update --availability active node3
docker service update --force --no-resolve-image page
