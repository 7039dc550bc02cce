# The same with other names and other means: --mount, containers that are created and then started, docker cp, a data-only
# container that ran for a moment, and SFTP with a password in place of WebDAV.
docker volume create pad
docker create --name store --mount type=volume,source=pad,target=/data \
  dockyard/redis:1 redis-server --appendonly yes --appendfsync always
docker start store
docker exec store sh -c 'until redis-cli SET motto "slow and steady" | grep OK; do :; done'

docker run --rm --mount type=bind,source=/srv,target=/host dockyard/debian:1 \
  sh -c 'mkdir -p /host/settings /host/backup && echo light > /host/settings/theme && echo "Be quiet." > /host/rules.txt'
docker run --detach --name desk \
  --mount type=bind,source=/srv/settings,target=/settings,readonly \
  --mount type=bind,source=/srv/rules.txt,target=/rules.txt,readonly \
  --mount type=tmpfs,target=/scratch,tmpfs-size=8388608 dockyard/debian:1 tail -f /dev/null

docker run --name box --label keep --mount type=volume,target=/papers dockyard/debian:1 true
docker run --detach --name clerk --volumes-from box dockyard/debian:1 tail -f /dev/null
docker run --detach --name guest --mount "type=volume,source=$(
  docker inspect --format '{{(index .Mounts 0).Name}}' box
),target=/elsewhere,readonly" dockyard/debian:1 tail -f /dev/null

docker pause store
docker cp store:/data - > copy.tar
docker unpause store
docker run --rm --interactive --volume /srv/backup:/backup dockyard/debian:1 sh -c 'cat > /backup/notes.tar' < copy.tar
on node2 docker create --name copy --volume pad2:/data dockyard/redis:1 redis-server --appendonly yes
on node2 docker cp --archive - copy:/ < copy.tar
on node2 docker start copy

sh trials.sh
docker rm --volumes trial-1 trial-2
docker volume rm $(docker volume ls --quiet --filter dangling=true | grep --invert-match archive)

on node2 docker run --detach --name server --publish 2022:2022 --volume disk:/srv \
  dockyard/storage:1 serve sftp /srv --addr :2022 --user team --pass secret
hidden=$(docker run --rm dockyard/storage:1 obscure secret)
for host in node1 node2; do
  on $host sh plugin.sh
  on $host docker volume create --driver rclone --opt type=sftp --opt sftp-host=node2 --opt sftp-port=2022 \
    --opt sftp-user=team --opt "sftp-pass=$hidden" "of-$host"
  on $host docker run --detach --name "uses-$host" --volume "of-$host:/team" dockyard/debian:1 tail -f /dev/null
done
