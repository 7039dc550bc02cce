#!/bin/sh
# Installs the volume plugin "rclone" on the host to which `docker` talks, without internet. With internet:
#   docker plugin install rclone/docker-volume-rclone --alias rclone --grant-all-permissions
set -eu
folder=$(mktemp -d)
box=$(docker create dockyard/storage:1)
trap 'rm -rf "$folder"; docker rm "$box" > /dev/null' EXIT

# A plugin is a folder: a root file system, and config.json that says how to run it.
mkdir "$folder/rootfs"
docker export "$box" | tar -x -C "$folder/rootfs"
mv "$folder/rootfs/config.json" "$folder"
docker plugin create rclone "$folder"
docker plugin enable rclone
