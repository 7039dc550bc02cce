"""The page: POST /4 gives four stars, GET / tells how many people voted, and their average."""

from flask import Flask
from redis import Redis
from stars import average

app = Flask(__name__)
redis = Redis("redis", decode_responses=True)


@app.post("/<int:stars>")
def vote(stars):
    redis.hincrby("stars", stars, 1)
    return "", 204


@app.get("/")
def show():
    counts = {int(stars): int(people) for stars, people in redis.hgetall("stars").items()}
    return {"people": sum(counts.values()), "average": average(counts)}
