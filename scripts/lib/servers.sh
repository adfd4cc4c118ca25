# shellcheck shell=bash
# The test servers: one table. Sourced, never run; wants common.sh.
# To add a server, add a line here, and a recipe if none fits; scripts/test and .ci/run follow.

# id            the crate that     the public image      where that can't be pulled, built from Debian's packages:
#               it is to test      (the default)         the suite    the recipe   its flavour
server_table() {
  grep -v '^ *$' <<'TABLE'
postgres        golock-postgres    postgres:18           sid          postgres     18
postgres15      golock-postgres    postgres:15           bookworm     postgres     15
mongo           golock-mongo       mongo:8               sid          mongo        0.5.3-beta.196
redis           golock-redis       redis:8               sid          redis        redis
valkey          golock-redis       valkey/valkey:9       sid          redis        valkey
mysql           golock-mysql       mysql:9               sid          mysql        mysql
mariadb         golock-mysql       mariadb:11.8          sid          mysql        mariadb
mariadb10       golock-mysql       mariadb:10.11         bookworm     mysql        mariadb
TABLE
}

# The ids asked for by GOLOCK_SERVERS (`redis,valkey`; set but empty: none), by default those of every crate that is there.
wanted_servers() {
  if [ -n "${GOLOCK_SERVERS+set}" ]; then
    tr ',' '\n' <<<"$GOLOCK_SERVERS" | grep -v '^ *$' || true
    return
  fi
  local id crate
  while read -r id crate _; do
    if [ -e "$repository/$crate/Cargo.toml" ]; then echo "$id"; fi
  done < <(server_table)
}

# server_field ID NUMBER: what the table says of a server.
server_field() {
  server_table | awk -v id="$1" -v field="$2" '$1 == id { print $field; found = 1 } END { exit !found }' ||
    die "no such test server: $1 (there are: $(server_table | awk '{ print $1 }' | paste -sd ' ' -))"
}

public_image() { server_field "$1" 3; }
suite_of() { server_field "$1" 4; }
recipe_of() { server_field "$1" 5; }
flavour_of() { server_field "$1" 6; }

url_variable() { echo "GOLOCK_TEST_$(tr '[:lower:]' '[:upper:]' <<<"$1")_URL"; }
image_variable() { echo "GOLOCK_TEST_$(tr '[:lower:]' '[:upper:]' <<<"$1")_IMAGE"; }
