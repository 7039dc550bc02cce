# Three containers on three networks, dealt anew each time. Look inside, then give each its name.
set -eu
set -- $(shuf --echo none host bridge)
for name in ann ben cho; do
  docker run --detach --name "$name" --network "$1" dockyard/debian:1 tail -f /dev/null
  shift
done
