#!/bin/bash
# Makes the data directory on the first start, and only then; ends as the server itself, process 1 of the container.
# Reads POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (each also as NAME_FILE, for secrets), POSTGRES_INITDB_ARGS,
# POSTGRES_HOST_AUTH_METHOD and PGDATA as the upstream image does; other than there, the password defaults to postgres.
set -euo pipefail

die() {
    echo "$*" >&2
    exit 1
}

# The value of variable $1, or of the file that $1_FILE names, or $2.
setting() {
    local file="$1_FILE"
    if [ -n "${!file:-}" ]; then cat "${!file}"; else echo "${!1:-$2}"; fi
}

# As root (`--user root`): hand the directory over, then go on as postgres.
step_down() {
    mkdir -p "$PGDATA"
    chown -R postgres: "$PGDATA" /var/run/postgresql
    exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
}

# Statements from standard input, carried out by a server without network that ends with them.
run_sql() {
    postgres --single -F -j -c log_checkpoints=off -D "$1" postgres >/dev/null
}

# The cluster as this image has it in store, or by initdb if something else is asked for.
make_cluster() {
    local user=$1 password=$2 cluster=$3
    if [ "$user" = postgres ] && [ -z "${POSTGRES_INITDB_ARGS:-}" ]; then
        cp -r /var/lib/postgresql/template "$cluster"
        run_sql "$cluster" <<<"ALTER ROLE postgres PASSWORD '${password//\'/\'\'}';"
    else
        # shellcheck disable=SC2086 # the arguments are meant to be split
        initdb --pgdata="$cluster" --username="$user" --pwfile=<(echo "$password") --no-sync --no-instructions \
            ${POSTGRES_INITDB_ARGS:-}
    fi
}

first_start() {
    local new="$PGDATA/.first-start" user password db
    user=$(setting POSTGRES_USER postgres)
    password=$(setting POSTGRES_PASSWORD postgres)
    db=$(setting POSTGRES_DB "$user")
    # An earlier first start was cut short: begin again.
    if [ -d "$new" ]; then find "$PGDATA" -mindepth 1 -delete; fi
    [ -z "$(ls -A "$PGDATA")" ] || die "\"$PGDATA\" holds files but no database. Give an empty directory."
    mkdir "$new"
    make_cluster "$user" "$password" "$new/cluster"
    if [ "$db" != postgres ]; then run_sql "$new/cluster" <<<"CREATE DATABASE \"${db//\"/\"\"}\";"; fi
    echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$new/cluster/pg_hba.conf"
    # PG_VERSION comes last: where it is, the database is complete.
    find "$new/cluster" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
    mv "$new/cluster/PG_VERSION" "$PGDATA"
    rm -r "$new"
    echo "Made database \"$db\" of user \"$user\" in \"$PGDATA\"."
}

case "${1:-}" in
    -*) set -- postgres "$@" ;; # only options were given
esac
[ "${1:-}" = postgres ] || exec "$@" # some other program: psql, pg_dump, a shell

[ "$(id -u)" != 0 ] || step_down "$@"

mkdir -p "$PGDATA" 2>/dev/null || true
[ -w "$PGDATA" ] || die "\"$PGDATA\" cannot be written by user $(id -u)." \
    "Run 'chown $(id -u)' on that directory, or start once with '--user root', which does it."
# Postgres knows a second server on the same directory by its process id, but that is 1 in every container: a lock on
# the directory itself tells. It is inherited by the server and ends with it, however that ends, SIGKILL included.
exec 9<"$PGDATA"
flock --timeout 5 9 || die "\"$PGDATA\" is in use by a server in another container."
[ -s "$PGDATA/PG_VERSION" ] || first_start
chmod 700 "$PGDATA"
exec "$@"
