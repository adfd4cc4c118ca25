//! Other ways to the server that a URL names.

use std::fmt::Display;

/// The same server, and whatever else `url` says, for another user.
pub fn url_as(url: &str, user: &str, password: &str) -> String {
    let [scheme, _, place, rest] = parts(url);
    format!("{scheme}{user}:{password}@{place}{rest}")
}

/// The same user, and whatever else `url` says, by another `host:port`: that of a proxy.
pub fn url_at(url: &str, address: impl Display) -> String {
    let [scheme, user, _, rest] = parts(url);
    format!("{scheme}{user}{address}{rest}")
}

/// `host:port` of a URL that may have a user and may have no port.
pub(super) fn address(url: &str, port: u16) -> String {
    let [_, _, place, _] = parts(url);
    let has_port = place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { place.to_owned() } else { format!("{place}:{port}") }
}

/// `redis://`, `user:password@`, `host:port`, `/0?option=value`: each but the third may be empty.
fn parts(url: &str) -> [&str; 4] {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, place) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    [scheme, user, place, rest]
}

#[cfg(test)]
mod tests {
    use super::{address, url_as, url_at};

    #[test]
    fn an_address_is_what_a_socket_connects_to() {
        assert_eq!(address("postgres://user:p%40ss@db:6000/base?sslmode=disable", 5432), "db:6000");
        assert_eq!(address("redis://localhost", 6379), "localhost:6379");
        assert_eq!(address("redis://[::1]/0", 6379), "[::1]:6379");
        assert_eq!(address("redis://[::1]:1/0", 6379), "[::1]:1");
    }

    #[test]
    fn another_way_keeps_the_rest() {
        let url = "postgres://user:p%40ss@db:6000/base?sslmode=disable";
        assert_eq!(url_as(url, "me", "it"), "postgres://me:it@db:6000/base?sslmode=disable");
        assert_eq!(url_as("redis://localhost", "me", "it"), "redis://me:it@localhost");
        assert_eq!(url_at(url, "[::1]:7"), "postgres://user:p%40ss@[::1]:7/base?sslmode=disable");
        assert_eq!(url_at("mongodb://localhost?w=1", "a:7"), "mongodb://a:7?w=1");
    }
}
