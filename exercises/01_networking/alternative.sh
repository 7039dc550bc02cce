# The same from the shell, with other names, and containers that are created on their networks.
for network in none host bridge; do
  docker create --name $network --network $network dockyard/python:1 \
    python3 -c 'import signal; signal.pause()'
  docker start $network
done

sh app.sh
docker network create --subnet 10.41.2.0/24 --internal vault
docker network create --subnet 10.41.1.0/24 --gateway 10.41.1.254 shop
docker rename redis queue
docker rename vote polls
docker network connect --alias redis vault queue
docker network connect --ip 10.41.2.77 vault polls
docker network connect shop polls
docker network disconnect bridge polls
docker network disconnect bridge queue

docker rm --force news
docker run --detach --name board --publish 127.0.0.1:8080:8000 dockyard/python:1 \
  python3 -m http.server --directory /tmp 8000
docker network connect shop board
docker network disconnect bridge board

on node2 docker swarm init --advertise-addr eth0
token=$(on node2 docker swarm join-token --quiet manager)
docker swarm join --token "$token" node2:2377
docker network create --driver overlay --attachable --subnet 10.99.0.0/24 span
on node2 docker create --name page --network span dockyard/vote:1
on node2 docker start page
docker network connect --alias redis span queue
