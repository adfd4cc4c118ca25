//! A lock store over a directory: a file a name, for the processes of one machine. Nobody needs it; it shows, in one file, all
//! that a store of your own takes. `tests/conformance.rs` proves it.
//!
//! The "server" is this machine: its clock decides, and an exclusive lock on one file of the directory makes each step
//! atomic. What matters is the order of the questions in `Dir::acquire`, `Dir::renew` and `Dir::release`; the rest is
//! reading and writing a row.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use golock_core::backend::micros;
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, ListRequest, LockInfo, Operation, ReleaseAnswer,
    ReleaseRequest, RenewAnswer, RenewRequest,
};
use golock_core::{
    FencingToken, GrantId, Holder, Label, LockName, LockStore, LostReason, StoreError, StoreErrorKind,
    async_trait,
};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Locks in a directory.
#[derive(Clone, Debug)]
pub struct DirStore {
    dir: Arc<Path>,
}

impl DirStore {
    /// A store over `dir`, which is created if need be.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        fs::create_dir_all(&dir)?;
        Ok(Self { dir: dir.into() })
    }

    /// Runs one atomic step, on a thread that may block. The step goes on if the future is dropped, which the contract
    /// allows for as long as `request_timeout`: one that had to wait for longer is not begun.
    #[allow(clippy::disallowed_methods, reason = "there is no server: this machine's clock is the store's")]
    async fn step<T: Send + 'static>(
        &self,
        operation: Operation,
        step: impl FnOnce(&Dir) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (path, asked) = (self.dir.clone(), Instant::now());
        let locked = move || {
            let mutex = OpenOptions::new().create(true).append(true).open(path.join("mutex"))?;
            mutex.lock()?;
            if asked.elapsed() > REQUEST_TIMEOUT {
                return Err(io::ErrorKind::TimedOut.into());
            }
            step(&Dir {
                path,
                now: SystemTime::UNIX_EPOCH.elapsed().map_err(io::Error::other)?,
                _mutex: mutex,
            })
        };
        let outcome = tokio::task::spawn_blocking(locked).await.map_err(io::Error::other).flatten();
        outcome.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::PermissionDenied => StoreErrorKind::Permission,
                io::ErrorKind::QuotaExceeded => StoreErrorKind::TokenExhausted,
                io::ErrorKind::TimedOut => StoreErrorKind::Timeout,
                _ => StoreErrorKind::Other,
            };
            StoreError::new("dir", operation, kind, error)
        })
    }
}

#[async_trait]
impl LockStore for DirStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("dir", 100, REQUEST_TIMEOUT, false, i64::MAX)
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        let requests = requests.to_vec();
        self.step(Operation::Acquire, move |dir| requests.iter().map(|wanted| dir.acquire(wanted)).collect())
            .await
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let requests = requests.to_vec();
        self.step(Operation::Renew, move |dir| requests.iter().map(|wanted| dir.renew(wanted)).collect())
            .await
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        let requests = requests.to_vec();
        self.step(Operation::Release, move |dir| requests.iter().map(|wanted| dir.release(wanted)).collect())
            .await
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        let name = name.clone();
        self.step(Operation::Inspect, move |dir| {
            Ok(dir.read(&name)?.and_then(|row| row.info(&name, dir.now)))
        })
        .await
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        let ListRequest { prefix, after, limit, .. } = request.clone();
        let page = move |dir: &Dir| {
            let mut held = Vec::new();
            for name in dir.names()? {
                let wanted =
                    name.as_str().starts_with(&prefix) && after.as_ref().is_none_or(|after| name > *after);
                held.extend(dir.read(&name)?.filter(|_| wanted).and_then(|row| row.info(&name, dir.now)));
            }
            held.sort_by(|a, b| a.name.cmp(&b.name));
            held.truncate(limit);
            Ok(held)
        };
        self.step(Operation::List, page).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let name = name.clone();
        self.step(Operation::Revoke, move |dir| dir.fence(&name, false)).await
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let name = name.clone();
        self.step(Operation::ForceUnlock, move |dir| dir.fence(&name, true)).await
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let purge = move |dir: &Dir| {
            let mut purged = 0;
            for name in dir.names()? {
                // Without the row of a token that is ahead of the clock the next one would be smaller.
                let is_idle = |row: Row| {
                    row.expires_at.saturating_add(idle_for) <= dir.now && row.token.get() < micros(dir.now)
                };
                if dir.read(&name)?.is_some_and(is_idle) {
                    fs::remove_file(dir.path_of(&name))?;
                    purged += 1;
                }
            }
            Ok(purged)
        };
        self.step(Operation::Purge, purge).await
    }

    fn schema(&self) -> String {
        format!("mkdir -p {:?}\n", self.dir)
    }
}

/// The directory, locked, at one moment.
struct Dir {
    path: Arc<Path>,
    /// Since 1970.
    now: Duration,
    _mutex: File,
}

impl Dir {
    fn acquire(&self, wanted: &AcquireRequest) -> io::Result<AcquireAnswer> {
        let old = self.read(&wanted.name)?;
        let (last, released) = old.as_ref().map_or((None, None), |row| (Some(row.token), row.released));
        if released == Some(wanted.grant) {
            return Ok(AcquireAnswer::Raced);
        }
        let row = match old {
            Some(mut row) if row.expires_at > self.now => {
                if row.grant != Some(wanted.grant) {
                    return Ok(AcquireAnswer::Held(row.holder(self.now)));
                }
                row.expires_at = row.expires_at.max(self.now + wanted.lease);
                row
            }
            _ => Row {
                grant: Some(wanted.grant),
                released,
                lock_by: wanted.lock_by.clone(),
                token: self.next_token(last)?,
                locked_at: self.now,
                expires_at: self.now + wanted.lease,
            },
        };
        self.write(&wanted.name, &row)?;
        Ok(AcquireAnswer::granted(row.token, row.expires_at - self.now))
    }

    fn renew(&self, wanted: &RenewRequest) -> io::Result<RenewAnswer> {
        let Some(mut row) = self.read(&wanted.name)? else {
            return Ok(RenewAnswer::Lost(LostReason::RowGone));
        };
        if row.released == Some(wanted.grant) {
            return Ok(RenewAnswer::Lost(LostReason::Revoked));
        }
        if (row.grant, row.token) != (Some(wanted.grant), wanted.token) {
            return Ok(RenewAnswer::Lost(LostReason::Taken));
        }
        if row.expires_at <= self.now {
            return Ok(RenewAnswer::Lost(LostReason::Expired));
        }
        row.expires_at = row.expires_at.max(self.now + wanted.lease);
        self.write(&wanted.name, &row)?;
        Ok(RenewAnswer::renewed(row.expires_at - self.now))
    }

    fn release(&self, wanted: &ReleaseRequest) -> io::Result<ReleaseAnswer> {
        let Some(mut row) = self.read(&wanted.name)? else {
            // The acquire that this undoes may yet arrive: it finds its own mark.
            let (grant, released, token) = (None, Some(wanted.grant), self.next_token(None)?);
            let lock_by = Label::new("-").map_err(io::Error::other)?;
            let row = Row { grant, released, lock_by, token, locked_at: self.now, expires_at: self.now };
            self.write(&wanted.name, &row)?;
            return Ok(ReleaseAnswer::NotYours(LostReason::RowGone));
        };
        if row.released == Some(wanted.grant) {
            return Ok(ReleaseAnswer::AlreadyReleased);
        }
        row.released = Some(wanted.grant);
        let held = row.grant == Some(wanted.grant);
        if held {
            row.grant = None;
            row.expires_at = row.expires_at.min(self.now.max(row.locked_at + wanted.lock_at_least));
        }
        self.write(&wanted.name, &row)?;
        Ok(if held { ReleaseAnswer::Released } else { ReleaseAnswer::NotYours(LostReason::Taken) })
    }

    fn fence(&self, name: &LockName, at_once: bool) -> io::Result<Option<FencingToken>> {
        let Some(mut row) = self.read(name)?.filter(|row| row.expires_at > self.now) else { return Ok(None) };
        row.token = self.next_token(Some(row.token))?;
        row.released = row.grant.take().or(row.released);
        if at_once {
            row.expires_at = self.now;
        }
        self.write(name, &row)?;
        Ok(Some(row.token))
    }

    fn next_token(&self, last: Option<FencingToken>) -> io::Result<FencingToken> {
        FencingToken::following(last, self.now, i64::MAX)
            .ok_or_else(|| io::Error::new(io::ErrorKind::QuotaExceeded, "the token is i64::MAX"))
    }

    /// One file a name. File names are shorter than lock names, so a long one is a path of several parts; a part that goes on
    /// ends in `-`, the last in `.`, so that no name is in the way of another.
    fn path_of(&self, name: &LockName) -> PathBuf {
        let name = hex(name.as_bytes());
        let mut path = self.path.join("names");
        let mut rest = name.as_str();
        while rest.len() > 200 {
            path.push(format!("{}-", &rest[..200]));
            rest = &rest[200..];
        }
        path.join(format!("{rest}."))
    }

    fn names(&self) -> io::Result<Vec<LockName>> {
        let (mut names, mut dirs) = (Vec::new(), vec![(self.path.join("names"), String::new())]);
        while let Some((dir, prefix)) = dirs.pop() {
            if !dir.exists() {
                continue;
            }
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let part = entry.file_name().to_string_lossy().into_owned();
                if let Some(part) = part.strip_suffix('-') {
                    dirs.push((entry.path(), format!("{prefix}{part}")));
                } else if let Some(part) = part.strip_suffix('.') {
                    let bytes = unhex(&format!("{prefix}{part}")).ok_or_else(broken)?;
                    names.push(
                        String::from_utf8(bytes)
                            .ok()
                            .and_then(|name| LockName::new(name).ok())
                            .ok_or_else(broken)?,
                    );
                }
            }
        }
        Ok(names)
    }

    fn read(&self, name: &LockName) -> io::Result<Option<Row>> {
        match fs::read_to_string(self.path_of(name)) {
            Ok(text) => Row::parse(&text).ok_or_else(broken).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a row beside the old one, then puts it in its place: a crash leaves the one or the other.
    fn write(&self, name: &LockName, row: &Row) -> io::Result<()> {
        let path = self.path_of(name);
        fs::create_dir_all(path.parent().ok_or_else(broken)?)?;
        let beside = self.path.join("new");
        fs::write(&beside, row.to_string())?;
        fs::rename(beside, path)
    }
}

/// A row, as it stands in its file: a field a line.
struct Row {
    grant: Option<GrantId>,
    released: Option<GrantId>,
    lock_by: Label,
    token: FencingToken,
    locked_at: Duration,
    expires_at: Duration,
}

impl Row {
    fn parse(text: &str) -> Option<Self> {
        let [grant, released, lock_by, token, locked_at, expires_at] =
            text.lines().collect::<Vec<_>>().try_into().ok()?;
        let grant_of = |line: &str| Some(GrantId::from_bytes(unhex(line)?.try_into().ok()?));
        let time_of = |line: &str| Some(Duration::from_nanos(line.parse().ok()?));
        Some(Self {
            grant: grant_of(grant),
            released: grant_of(released),
            lock_by: Label::new(lock_by).ok()?,
            token: FencingToken::new(token.parse().ok()?),
            locked_at: time_of(locked_at)?,
            expires_at: time_of(expires_at)?,
        })
    }

    fn holder(&self, now: Duration) -> Holder {
        Holder::new(
            self.lock_by.clone(),
            now.saturating_sub(self.locked_at),
            self.expires_at.saturating_sub(now),
            self.token,
        )
    }

    fn info(&self, name: &LockName, now: Duration) -> Option<LockInfo> {
        (self.expires_at > now).then(|| LockInfo::new(name.clone(), self.holder(now), self.grant.is_none()))
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let grant = |grant: Option<GrantId>| grant.map_or_else(String::new, |grant| hex(grant.as_bytes()));
        let (locked_at, expires_at) = (self.locked_at.as_nanos(), self.expires_at.as_nanos());
        writeln!(f, "{}\n{}\n{}", grant(self.grant), grant(self.released), self.lock_by)?;
        writeln!(f, "{}\n{locked_at}\n{expires_at}", self.token)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the directory holds something that this store did not write")
}
