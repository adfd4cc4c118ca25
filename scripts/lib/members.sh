# shellcheck shell=bash
# The workspace's crates, as cargo knows them, so that no list here can forget one. Sourced, never run.

members() { cargo tree --workspace --depth 0 --prefix none | awk 'NF { print $1 }' | sort -u; }

# features_of CRATE: all it declares, comma-separated; nothing when it has none.
features_of() { cargo tree --package "$1" --all-features --depth 0 --prefix none --format '{f}' | sort -u; }

# dependencies_of CRATE EDGES: the names of all crates in its tree, with all features, over these kinds of edges.
dependencies_of() {
  cargo tree --package "$1" --edges "$2" --all-features --prefix none --format '{p}' | awk 'NF { print $1 }' | sort -u
}
