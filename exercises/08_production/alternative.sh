# The same without a stack file: services made one by one, the configuration in an image of its own,
# HAProxy with other words, and labels the other way round (the others keep away from "secret").
token=$(docker swarm init --advertise-addr eth0 >/dev/null && docker swarm join-token -q worker)
on node2 docker swarm join --token "$token" node1:2377
on node3 docker swarm join --token "$token" node1:2377
docker volume create --label bakery=b --label office=d --label bank=a --label studio=b --label founders=a \
  --label storage=a --label network=d --label unikernel=c --label warm-up=b --label next-step=c quiz

docker node update --label-add secret=yes node3
docker network create --driver overlay --attachable inside
create() {
  local name=$1 image=$2
  shift 2
  docker service create --detach --no-resolve-image --name "$name" --network inside \
    --endpoint-mode "$ENDPOINT_MODE" --restart-delay 1s "$@" "$image"
}
elsewhere=(--constraint 'node.labels.secret != yes')
create db dockyard/postgres:1 --constraint node.labels.secret==yes
create redis dockyard/redis:1 "${elsewhere[@]}"
create tally dockyard/worker:1 "${elsewhere[@]}"
create board dockyard/result:1 "${elsewhere[@]}" --publish "published=5001,target=80,mode=$PUBLISH_MODE"
create pages dockyard/vote:1 "${elsewhere[@]}"

mkdir door
cat > door/haproxy.cfg <<'CFG'
defaults
    mode http
    timeout connect 300ms
    timeout client 10s
    timeout server 1s
    retries 4
    option redispatch
    retry-on conn-failure empty-response response-timeout
resolvers swarm
    nameserver inner 127.0.0.11:53
    hold valid 500ms
frontend pages
    bind :8080
    default_backend pages
frontend figures
    bind :9090
    stats enable
    stats uri /stats
backend pages
    balance leastconn
    option httpchk
    http-check send meth GET uri /readyz
    http-check expect status 200
    default-server check inter 1s fall 1 rise 1
    server-template page 4 tasks.pages:80 resolvers swarm init-addr libc,none
CFG
printf 'FROM dockyard/haproxy:1\nCOPY haproxy.cfg /usr/local/etc/haproxy/\n' > door/Dockerfile
docker build --tag our/door:1 door
create door our/door:1 --constraint node.role==manager \
  --publish "published=5000,target=8080,mode=$PUBLISH_MODE" \
  --publish "published=8404,target=9090,mode=$PUBLISH_MODE"
docker service update --no-resolve-image --replicas 3 pages
