//! What to look for at a file of SQLite.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use golock_conformance::BoxError;
use golock_sqlite::SqliteStoreBuilder;
use rusqlite::{Connection, OpenFlags};

use super::Findings;
use super::probe::{compare_columns, nothing_there};
use crate::store::Site;
use crate::verify::sqlite::path;

const COLUMNS: [&str; 7] = [
    "name BLOB NOT NULL",
    "grant_id BLOB",
    "released_grant BLOB",
    "lock_by TEXT NOT NULL",
    "token INTEGER NOT NULL",
    "locked_at INTEGER NOT NULL",
    "expires_at INTEGER NOT NULL",
];

pub(crate) async fn examine(site: &Site, findings: &mut Findings) -> Result<bool, BoxError> {
    let path = path(&site.url);
    if !path.try_exists()? {
        no_file(site, &path, findings);
        return Ok(false);
    }
    findings.good("file", path.display().to_string());
    file_system(&path, findings)?;
    let mode = path.metadata()?.mode();
    if mode & 0o002 != 0 {
        findings.warning("mode", format!("{:o}: anybody may write it", mode & 0o777), "chmod o-w");
    }
    let connection = open(&path)?;
    findings.good("version", format!("SQLite {}", rusqlite::version()));
    let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if journal == "wal" {
        findings.good("journal_mode", "wal");
    } else {
        findings.fault("journal_mode", journal, "PRAGMA journal_mode = wal, with nobody else at the file");
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check == "ok" {
        findings.good("quick_check", check);
    } else {
        findings.fault(
            "quick_check",
            check,
            "the file is damaged: end what uses it, and delete it with its -wal and -shm",
        );
    }
    Ok(schema(&connection, site, findings)?)
}

pub(crate) async fn has_table(site: &Site) -> Result<bool, BoxError> {
    let path = path(&site.url);
    if !path.try_exists()? {
        // Without its directory nobody can have made it: the URL is wrong, or something is not mounted.
        return Ok(!may_be_made(site, &path));
    }
    Ok(schema(&open(&path)?, site, &mut Findings::default())?)
}

/// golock creates the file, but no directory.
fn may_be_made(site: &Site, path: &Path) -> bool {
    // Of a relative path that is a name only.
    let is_there = |directory: &Path| directory.as_os_str().is_empty() || directory.is_dir();
    site.is_own || path.parent().is_some_and(is_there)
}

/// Another connection of this process's own SQLite: its locks stay.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn no_file(site: &Site, path: &Path, findings: &mut Findings) {
    match path.parent() {
        _ if may_be_made(site, path) => nothing_there(findings, format_args!("file {}", path.display())),
        directory => findings.fault(
            "directory",
            format!("there is no directory {}", directory.unwrap_or(path).display()),
            "make it, or mend the URL: golock creates the file at the first use, but no directory",
        ),
    }
}

/// Whether there is a table.
fn schema(connection: &Connection, site: &Site, findings: &mut Findings) -> rusqlite::Result<bool> {
    let sql = "SELECT name || ' ' || type || CASE WHEN \"notnull\" THEN ' NOT NULL' ELSE '' END \
               FROM pragma_table_info(?1)";
    let table = site.table_or(SqliteStoreBuilder::DEFAULT_TABLE);
    let mut columns = connection.prepare(sql)?;
    let columns = columns.query_map([table], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(compare_columns(findings, table, &columns, &COLUMNS))
}

/// Locks between processes are the file system's.
#[cfg(target_os = "linux")]
fn file_system(path: &Path, findings: &mut Findings) -> Result<(), BoxError> {
    const FUSE: i64 = 0x6573_5546;
    const NETWORKED: [(i64, &str); 8] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x0102_1997, "9p"),
        (0x00c3_6400, "Ceph"),
        (0x0bd0_0bd0, "Lustre"),
        (0x786f_4256, "VirtualBox's shared folder"),
    ];
    #[allow(clippy::useless_conversion, reason = "its type is another on other machines")]
    let kind = i64::try_from(rustix::fs::statfs(path)?.f_type).unwrap_or(0) & 0xffff_ffff;
    match NETWORKED.iter().find(|(magic, _)| *magic == kind) {
        Some((_, name)) => findings.fault(
            "file system",
            format!("{name}: it has neither the locks nor the shared memory that SQLite rests on"),
            "put the file on a disk of this machine, or take a server for a store",
        ),
        // virtiofs among them.
        None if kind == FUSE => findings.warning(
            "file system",
            "FUSE: it may be another machine's",
            "put the file on a disk of this machine, unless you know that only processes of this machine use it",
        ),
        None => findings.good("file system", "of this machine"),
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn file_system(_: &Path, _: &mut Findings) -> Result<(), BoxError> {
    Ok(())
}
