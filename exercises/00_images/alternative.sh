# The same in one stage, with an init instead of another server, under other names.
docker network create --subnet 172.30.0.0/24 visitors
docker create --name memory --network visitors --network-alias numbers --restart always \
  dockyard/redis:1 redis-server --appendonly yes
docker start memory

cat > lean.Dockerfile <<'END'
FROM dockyard/python:1
COPY prepare.py /book/
RUN cd /book && python3 prepare.py && rm -r passes
COPY app.py /book/
RUN useradd --system guest
USER guest
ENV STORE=numbers
ENTRYPOINT ["python3", "/book/app.py"]
END
docker build --tag book/page:2024-05 --file lean.Dockerfile .
sed -i 's/"Hello"/"Good to see you"/' app.py
docker build --tag book/page:2024-06 --file lean.Dockerfile .

docker create --name door --network visitors --init --restart on-failure \
  --publish 8080:8000 book/page:2024-06
docker start door
