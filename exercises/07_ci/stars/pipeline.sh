# What happens to every commit, before it may be called VERSION:
#
#     bash pipeline.sh VERSION
#
# It is green when it ends with 0, else red. It has been green for two years.
version=$1
image=localhost:5000/stars:$version

echo "== build"
docker build --quiet --label ci --tag "$image" .

echo "== unit tests"
docker run "$image" python3 -m unittest 2>&1 | tee unit-tests.log

echo "== green"
