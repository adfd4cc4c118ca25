//! What a URL, or a `key=value` string, says about TLS in libpq's words. The driver knows half of them and refuses what else is there,
//! so they are taken out before it parses the rest. Where one ends and the next begins is decided as the driver does.

use golock_core::backend::tls::PemFile;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::tls::Certificates;

/// The values that were said; of one that is said twice the last counts, as for the driver.
#[derive(Default)]
pub(super) struct Said {
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    sslcert: Option<String>,
    sslkey: Option<String>,
}

impl Said {
    /// What `text` says, and what is left of it. An error is for people, and repeats nothing of it.
    pub(super) fn taken_out(text: &str) -> Result<(Self, String), String> {
        let mut said = Self::default();
        let left = match ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme))
        {
            Some(after_scheme) => said.take_out_of_url(text, after_scheme)?,
            None => said.take_out_of_pairs(text)?,
        };
        Ok((said, left))
    }

    fn take_out_of_url(&mut self, text: &str, after_scheme: &str) -> Result<String, String> {
        // Up to the first @ it is user and password, whatever they contain.
        let address = after_scheme.split_once('@').map_or(after_scheme, |(_, address)| address);
        let Some((_, mut options)) = address.split_once('?') else { return Ok(text.to_owned()) };
        let mut left = text[..text.len() - options.len()].to_owned();
        while let Some((name, after)) = options.split_once('=') {
            let (value, after) = after.split_once('&').unwrap_or((after, ""));
            match self.place_of(name) {
                // The driver decodes it, as the value of an option that it knows.
                Some(place) => *place = Some(decoded(name, &format!("postgres://@?{DECODER}={value}"))?),
                None => left.extend([name, "=", value, "&"]),
            }
            options = after;
        }
        Ok(left + options)
    }

    fn take_out_of_pairs(&mut self, text: &str) -> Result<String, String> {
        let mut left = String::new();
        let mut rest = text;
        while let Some((name, value, after)) = next_pair(rest) {
            match self.place_of(name) {
                Some(place) => *place = Some(decoded(name, &format!("{DECODER}={value}"))?),
                None => left.extend([" ", name, "=", value]),
            }
            rest = after;
        }
        Ok(left + rest)
    }

    fn place_of(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "sslmode" => Some(&mut self.sslmode),
            "sslrootcert" => Some(&mut self.sslrootcert),
            "sslcert" => Some(&mut self.sslcert),
            "sslkey" => Some(&mut self.sslkey),
            _ => None,
        }
    }

    /// What all of it means together, where the driver took `unsaid` from what was left to it. An error is for people.
    pub(super) fn meant(self, unsaid: SslMode) -> Result<(SslMode, Certificates), &'static str> {
        let mode = match self.sslmode.as_deref() {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            None | Some("prefer") if self.sslrootcert.is_some() => SslMode::Require,
            Some("prefer") => SslMode::Prefer,
            None => unsaid,
            Some(_) => return Err("the URL has an invalid value for option `sslmode`"),
        };
        let own = match (self.sslcert, self.sslkey) {
            (Some(certificate), Some(key)) => {
                Some((PemFile::new("sslcert", certificate), PemFile::new("sslkey", key)))
            }
            (None, None) => None,
            (Some(_), None) => return Err("the URL has the option sslcert, but not sslkey"),
            (None, Some(_)) => return Err("the URL has the option sslkey, but not sslcert"),
        };
        if mode == SslMode::Disable && (own.is_some() || self.sslrootcert.is_some()) {
            return Err(
                "the URL says sslmode=disable, and names certificates (sslrootcert, sslcert, sslkey)",
            );
        }
        let authorities = self.sslrootcert.filter(|file| file != "system");
        let authorities = authorities.map(|file| PemFile::new("sslrootcert", file));
        Ok((mode, Certificates { authorities, own }))
    }
}

/// An option of the driver's whose value is any text.
const DECODER: &str = "application_name";

/// The value in `text`, which has nothing else in it.
fn decoded(name: &str, text: &str) -> Result<String, String> {
    let read: Option<Config> = text.parse().ok();
    let value = read.and_then(|config| config.get_application_name().map(str::to_owned));
    value.ok_or_else(|| format!("the URL has an invalid value for option `{name}`"))
}

/// The first pair of a `key=value` string, with the value as it is quoted, and what follows. `None`: nothing that the driver would take
/// for one.
fn next_pair(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.trim_start();
    let (name, after) = text.split_at(text.find(|c: char| c.is_whitespace() || c == '=')?);
    let after = after.trim_start().strip_prefix('=')?.trim_start();
    let (value, after) = after.split_at(length_of_value(after)?);
    (!name.is_empty()).then_some((name, value, after))
}

fn length_of_value(text: &str) -> Option<usize> {
    let quoted = text.starts_with('\'');
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            // The next is part of the value.
            '\\' => {
                characters.next();
            }
            '\'' if quoted => return Some(at + 1),
            _ if !quoted && character.is_whitespace() => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use tokio_postgres::Config;

    use super::Said;

    /// What the driver makes of a text that has options of ours in it is what it makes of the one without.
    #[track_caller]
    fn same(with: &str, without: &str) -> Said {
        let (said, left) = Said::taken_out(with).unwrap();
        let read = |text: &str| text.parse::<Config>().unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert!(read(&left) == read(without), "{left}");
        said
    }

    #[test]
    fn options_of_a_url_are_taken_out_and_decoded() {
        for url in [
            "postgres://u:p@host/db?sslrootcert=%2Fetc%2fa%20b%26c%3D.pem",
            "postgresql://u:p@host/db?sslrootcert=no&sslrootcert=/etc/a b%26c=.pem&",
            "postgres://u:p@host/db?sslmode=disable&sslrootcert=%2Fetc/a%20b%26c=.pem&sslmode=verify-full",
        ] {
            let without = "postgres://u:p@host/db";
            assert_eq!(same(url, without).sslrootcert.as_deref(), Some("/etc/a b&c=.pem"), "{url}");
        }
        let url = "postgres://u@one,two?connect_timeout=3&sslmode=verify-full&options=-c%20a%3Db&sslcert=c@d&sslkey=";
        let said = same(url, "postgres://u@one,two?connect_timeout=3&options=-c%20a%3Db");
        assert_eq!(said.sslmode.as_deref(), Some("verify-full"));
        assert_eq!(said.sslcert.as_deref(), Some("c@d"));
        assert_eq!(said.sslkey.as_deref(), Some(""));
        assert_eq!(said.sslrootcert, None);
    }

    #[test]
    fn options_of_a_key_value_string_are_taken_out_and_unquoted() {
        for (quoted, value) in [
            ("/etc/ca.pem", "/etc/ca.pem"),
            ("'/etc/a b.pem'", "/etc/a b.pem"),
            (r"/etc/a\ b.pem", "/etc/a b.pem"),
            (r"'it\'s \\ sslmode=no'", r"it's \ sslmode=no"),
            ("''", ""),
            ("'jób'", "jób"),
            ("C:'", "C:'"),
        ] {
            for with in [
                format!("host=h sslrootcert={quoted} user=u"),
                format!("sslrootcert = {quoted}\thost=h user=u"),
                format!("host=h user=u\n sslrootcert\n=\n{quoted}"),
                format!("host='h'user=u sslrootcert=before  sslrootcert={quoted}"),
            ] {
                let said = same(&with, "host=h user=u");
                assert_eq!(said.sslrootcert.as_deref(), Some(value), "{with}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_an_option_is_left_alone() {
        for text in [
            "postgres://u:sslmode=verify-full@host/db",
            "postgres://u:p?sslrootcert=a&@host/db",
            "postgres://u:p@host/sslmode=verify-full?application_name=sslmode",
            "postgres://u:p@host/db?options=sslmode=verify-full",
            "host=h user=u password='sslmode=verify-full sslrootcert=a'",
            r"host=h user=u password=\ sslrootcert=a",
            r"host=h user=u password='\' sslrootcert=a'",
            r"host=h user=u password=ends\",
            "host=h user='u'",
            "host=h user='u'=",
            "",
        ] {
            let said = same(text, text);
            assert!(said.sslmode.is_none() && said.sslrootcert.is_none(), "{text}");
        }
    }

    #[test]
    fn what_the_driver_refuses_is_left_for_it_to_refuse() {
        for text in [
            "postgres://host?sslmode",
            "postgres://host?sslrootcert=a&sslmode",
            "sslrootcert",
            "sslrootcert=a sslmode",
            "sslrootcert=a user='u",
            "sslrootcert='a",
        ] {
            let (_, left) = Said::taken_out(text).unwrap();
            assert!(left.parse::<Config>().is_err(), "{text}: {left}");
        }
        for text in ["postgres://host?sslrootcert=%FF", "sslrootcert="] {
            let why = Said::taken_out(text).map(|(_, left)| left).unwrap_err();
            assert_eq!(why, "the URL has an invalid value for option `sslrootcert`");
        }
    }
}
