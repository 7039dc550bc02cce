# The same with the CLI only: the greedy part is found with `docker top`, and started anew with
# limits, under another name; cAdvisor has another name, too, and its mounts are written out.
python app.py

docker create --name watcher --memory 100m --publish 8080:8080 \
  --mount type=bind,source=/,target=/rootfs,readonly \
  --mount type=bind,source=/run,target=/var/run,readonly \
  --mount type=bind,source=/sys,target=/sys,readonly \
  --mount type=bind,source=/var/lib/docker,target=/var/lib/docker,readonly \
  dockyard/cadvisor:1
docker start watcher

for part in db redis result vote worker; do
  docker top "$part" | grep second-job || continue
  case $part in
    vote) port=--publish=5000:80 ;;
    result) port=--publish=5001:80 ;;
    *) port= ;;
  esac
  docker rm --force --volumes "$part"
  docker run --detach --name "careful-$part" --network voting --network-alias "$part" $port \
    --cpu-period 50000 --cpu-quota 10000 --memory 200m "voting/$part:1"
done

redis=$(docker ps --quiet --filter ancestor=voting/redis:1)
docker run --detach --name inspector --network "container:$redis" --memory 65536k \
  --cpu-period 50000 --cpu-quota 25000 --pids-limit 20 dockyard/postgres:1 tail -f /dev/null
# All four, read on the host.
pid=$(docker inspect --format '{{.State.Pid}}' inspector)
id=$(docker inspect --format '{{.Id}}' inspector)
docker run --rm --pid host --cap-add SYS_PTRACE --volume /sys/fs/cgroup:/groups:ro \
  dockyard/debian:1 sh -c "
    echo memory: \$(cat /groups/memory/docker/$id/memory.limit_in_bytes /groups/docker/$id/memory.max)
    echo processes: \$(cat /groups/pids/docker/$id/pids.max /groups/docker/$id/pids.max)
    echo pid: $pid
    echo network: \$(stat --dereference --format %i /proc/$pid/ns/net)" 2>/dev/null > report
docker cp report inspector:/report
