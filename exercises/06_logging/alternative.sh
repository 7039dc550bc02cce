# Other names and other means: an image of one's own with the configuration in it, records as JSON, an immediate flush, a memory
# buffer, UDP for syslog, and a service that is made with one replica and changed afterwards.
docker run --detach --name noisy --log-driver json-file --log-opt max-size=30k --log-opt max-file=2 --log-opt compress=true \
  dockyard/debian:1 bash -c "$(cat noisy.sh)"

docker network create app
docker create --name audit --publish 514:514/udp dockyard/rsyslog:1
docker start audit
docker run --detach --name page --network app --publish 5001:80 --env POSTGRES_HOST=storage --log-driver syslog \
  --log-opt syslog-address=udp://127.0.0.1:514 --log-opt syslog-format=rfc5424micro \
  --log-opt tag='{{.ID}}.{{.Name}}' dockyard/result:1

mkdir own
cat >own/collect.conf <<'END'
<source>
  @type forward
</source>
<match **>
  @type copy
  <store>
    @type stdout
  </store>
  <store>
    @type file
    path /fluentd/log/${tag}.%Y%m%d
    append true
    <inject>
      time_key time
      time_type string
      time_format %Y-%m-%dT%H:%M:%S.%L%z
      utc true
    </inject>
    <format>
      @type json
    </format>
    <buffer time,tag>
      @type memory
      timekey 1d
      flush_mode immediate
    </buffer>
  </store>
</match>
END
printf 'FROM dockyard/fluentd:1\nCOPY collect.conf /fluentd/etc/fluent.conf\n' >own/Dockerfile
docker build --quiet --tag mine/collector:2 own

docker swarm init --advertise-addr eth0
on node2 docker swarm join --token "$(docker swarm join-token -q worker)" node1:2377
docker run --rm --volume /srv/logs:/logs dockyard/debian:1 chown 4242:4242 /logs
docker service create --no-resolve-image --name gather --user 4242:4242 --constraint node.hostname==node1 \
  --publish "published=24224,target=24224,mode=$PUBLISH_MODE" \
  --mount type=bind,source=/srv/logs,target=/fluentd/log mine/collector:2

send=(--detach --log-driver fluentd --log-opt fluentd-async=true --log-opt fluentd-request-ack=true --log-opt mode=non-blocking)
docker run "${send[@]}" --name queue --network app --network-alias redis dockyard/redis:1
docker run "${send[@]}" --name storage --network app dockyard/postgres:1
docker run "${send[@]}" --name tally --network app --env POSTGRES_HOST=storage dockyard/worker:1
docker run "${send[@]}" --name ballot --network app --publish 5000:80 dockyard/vote:1
on node2 docker run "${send[@]}" --name elsewhere --publish 5000:80 --log-opt fluentd-address=tcp://node1:24224 dockyard/vote:1
until docker inspect --format '{{.State.Health.Status}}' ballot | grep -q ^healthy; do sleep 0.2; done
until on node2 docker inspect --format '{{.State.Health.Status}}' elsewhere | grep -q ^healthy; do sleep 0.2; done
