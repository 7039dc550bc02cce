# Other means: hadolint in a container of its own, another runner in another folder, containers made by `docker create`
# and removed by themselves, no network of their own but one that they share, xargs instead of background jobs.
tar -c -C "$(dirname "$(command -v hadolint)")" hadolint -C "$PWD/runner" Dockerfile |
  docker build --quiet --tag linter -
docker create --name builder --workdir /source/stars --volume /var/run/docker.sock:/var/run/docker.sock dockyard/runner:1
docker volume create --label keep=yes images
docker run --detach --name images --publish 127.0.0.1:5000:5000 \
  --volume images:/var/lib/docker-registry dockyard/registry:1

cd stars
cat >Dockerfile <<'END'
ARG FROM=python
FROM dockyard/${FROM}:1
COPY *.py /app/
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["gunicorn"]
CMD ["page:app"]
END
cat >stars.py <<'END'
def average(counts):
    people = sum(counts.values())
    return round(sum(n * counts[n] for n in counts) / people, 1) if people else 0
END
cat >matrix.sh <<'END'
docker build --quiet --label ci=yes --build-arg "FROM=$1" --tag "stars-$1:$2" . &&
  docker run --rm --entrypoint python3 "stars-$1:$2" -m unittest discover --verbose
END
cat >pipeline.sh <<'END'
red() { echo "red: $1"; exit 1; }
docker run --rm --interactive linter hadolint - <Dockerfile || red lint
printf '%s\n' python pypy | xargs -P 2 -I BASE bash matrix.sh BASE "$1" || red "unit tests"

page=$(docker create --rm --add-host redis:127.0.0.1 --add-host page:127.0.0.1 "stars-python:$1")
docker start "$page"
redis=$(docker run --detach --rm --network "container:$page" dockyard/redis:1)
docker run --rm --network "container:$page" --entrypoint python3 "stars-python:$1" try_page.py
result=$?
docker kill "$redis" "$page"
[ $result = 0 ] || red "integration test"

docker tag "stars-python:$1" "localhost:5000/stars:$1" && docker push "localhost:5000/stars:$1" || red push
END
cat >prune.sh <<'END'
docker ps --all --quiet --filter label=ci --filter status=exited --filter status=created |
  while read -r id; do
    docker inspect --format '{{json .Config.Labels}}' "$id" | grep -q '"keep":' || docker rm "$id"
  done
docker image prune --force --all --filter label=ci --filter label!=keep --filter until=1440m
docker volume prune --force --filter all=1 --filter label=ci --filter label!=keep
END
docker start builder
docker cp . builder:/source/stars
docker exec builder bash pipeline.sh 2026.1
