//! TLS four ways, and as the options of a URL say. `refused_tls_is_told`, of the suite, is the fifth: TLS asked of a server that has
//! none.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use golock_conformance::security::{Authority, AuthorityFile, Certificate, Guarded, everything};
use golock_core::{LockOptions, Locker, StoreError, StoreErrorKind};
use golock_postgres::PostgresStore;
use golock_postgres::deadpool_postgres::{Manager, Pool};
use tokio::runtime::Runtime;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{admin, unique, url_as};

/// A store over an application's pool, which trusts this authority.
fn store(server: &Guarded, host: &str, authority: &Authority) -> PostgresStore {
    let url = format!(
        "postgres://postgres:golock-test@{host}:{}/postgres?sslmode=require&application_name=over_tls",
        server.port()
    );
    let manager = Manager::new(url.parse().unwrap(), MakeRustlsConnect::new(authority.client()));
    let pool = Pool::builder(manager).max_size(1).build().unwrap();
    PostgresStore::builder().table(unique("over_tls")).build(pool).unwrap()
}

async fn refused(store: PostgresStore) -> StoreError {
    let error = store.ready().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Tls, "{:?}", error.source());
    error
}

pub(crate) async fn tls_of_a_trusted_authority_is_spoken(server: Arc<Guarded>) {
    let store = store(&server, "localhost", server.authority());
    everything(&store).await.unwrap();
    // Other tests try to log in without TLS meanwhile.
    let sql = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl)
               FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'over_tls'";
    let row = admin(&server).await.query_one(sql, &[]).await.unwrap();
    let (with, without): (i64, i64) = (row.get(0), row.get(1));
    assert!(with > 0 && without == 0, "{with} sessions with TLS, {without} without");
}

/// The URL for a process that this one starts, which has an environment of its own.
pub(crate) const CHILD: &str = "GOLOCK_SECURITY_CHILD";

#[allow(clippy::print_stdout, reason = "its parent reads it")]
pub(crate) fn connect_as_a_child(url: &str) -> ExitCode {
    match Runtime::new().unwrap().block_on(PostgresStore::connect(url)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}: {:?}", error.source());
            ExitCode::FAILURE
        }
    }
}

/// By a URL, which trusts whom this system trusts.
pub(crate) async fn tls_of_an_authority_named_by_the_environment_is_spoken(server: Arc<Guarded>) {
    let url = url_as(&server, "postgres", "golock-test") + "?sslmode=verify-full";
    let url = url.replace("127.0.0.1", "localhost");
    for (trusted, is_ours) in [(server.authority().file(), true), (Authority::new().file(), false)] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.env("SSL_CERT_FILE", trusted.path()).env_remove("SSL_CERT_DIR").env(CHILD, &url);
        let status = tokio::task::spawn_blocking(move || child.status()).await.unwrap().unwrap();
        assert_eq!(status.success(), is_ours);
    }
}

/// By its name.
fn url_with(server: &Guarded, options: &str) -> String {
    format!("postgres://postgres:golock-test@localhost:{}/postgres?{options}", server.port())
}

pub(crate) async fn tls_of_an_authority_named_by_the_url_is_spoken(server: Arc<Guarded>) {
    let authority = server.authority().file();
    let (authority, port) = (authority.path().display(), server.port());
    for url in [
        url_with(&server, &format!("sslrootcert={authority}")),
        url_with(&server, &format!("sslmode=verify-ca&sslrootcert={authority}")),
        // Wherever the name leads.
        url_with(&server, &format!("sslmode=verify-full&hostaddr=127.0.0.1&sslrootcert={authority}")),
        format!(
            "host=localhost port={port} user=postgres password='golock-test' dbname=postgres sslrootcert='{authority}'"
        ),
    ] {
        let store = PostgresStore::builder().table(unique("named")).connect(&url).await.unwrap();
        everything(&store).await.unwrap();
    }
}

pub(crate) async fn tls_of_none_but_that_authority_and_host_is_spoken(server: Arc<Guarded>) {
    let (authority, another) = (server.authority().file(), Authority::new().file());
    let trusting = |authority: &AuthorityFile, mode: &str| {
        url_with(&server, &format!("sslrootcert={}{mode}", authority.path().display()))
    };
    // No mode falls back to one that is not verified.
    for mode in ["", "&sslmode=prefer", "&sslmode=require", "&sslmode=verify-ca", "&sslmode=verify-full"] {
        let by_address = trusting(&authority, mode).replace("localhost", "127.0.0.1");
        for (url, why) in [(trusting(&another, mode), "BadSignature"), (by_address, "NotValidForName")] {
            let error = PostgresStore::connect(&url).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Tls, "{:?}", error.source());
            assert!(format!("{error:?}").contains(why), "{error:?}");
        }
    }
}

/// A client's certificate and its key in files, removed when this is dropped.
struct Shown([PathBuf; 2]);

impl Shown {
    fn new(certificate: &Certificate) -> Self {
        let path = |what| std::env::temp_dir().join(format!("{}.{what}", unique("golock")));
        let files = [path("pem"), path("key")];
        std::fs::write(&files[0], &certificate.pem).unwrap();
        std::fs::write(&files[1], &certificate.key).unwrap();
        Self(files)
    }

    fn options(&self) -> String {
        format!("sslcert={}&sslkey={}", self.0[0].display(), self.0[1].display())
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        for file in &self.0 {
            let _ = std::fs::remove_file(file);
        }
    }
}

pub(crate) async fn certificate_named_by_the_url_is_shown_by_every_session(server: Arc<Guarded>) {
    let (admin, authority) = (admin(&server).await, server.authority().file());
    admin.batch_execute("CREATE ROLE certified LOGIN SUPERUSER").await.unwrap();
    let table = unique("certified");
    let connect = async |options: &str, application: &str| {
        let authority = authority.path().display();
        let url = url_with(
            &server,
            &format!("sslrootcert={authority}&user=certified&application_name={application}&{options}"),
        );
        PostgresStore::builder().table(&table).connect(&url).await
    };

    let error = connect("", "uncertified").await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Authentication, "{:?}", error.source());
    let of_another = Shown::new(&Authority::new().certificate("certified"));
    // By an alert, or by a connection that ends: over TLS 1.3 the client is done with the handshake before.
    connect(&of_another.options(), "uncertified").await.unwrap_err();

    let mine = Shown::new(&server.authority().certificate("certified"));
    let holder = connect(&mine.options(), "holder").await.unwrap();
    everything(&holder).await.unwrap();
    // Somebody who waits, and for that listens.
    let (holder, waiter) =
        (Locker::new(holder), Locker::new(connect(&mine.options(), "waiter").await.unwrap()));
    let lock = holder.try_lock(LockOptions::new("job").auto_renew(true)).await.unwrap();
    let waiting = tokio::spawn(async move { waiter.lock(LockOptions::new("job")).await });
    let sql =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waiter' AND query LIKE 'LISTEN%'";
    let listening = async {
        while admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), listening).await.expect("nobody listens");
    let sql = "SELECT count(*) FILTER (WHERE ssl AND issuer_dn LIKE '%golock%'), count(*)
               FROM pg_stat_activity LEFT JOIN pg_stat_ssl USING (pid) WHERE application_name IN ('holder', 'waiter')";
    let row = admin.query_one(sql, &[]).await.unwrap();
    let (with, all): (i64, i64) = (row.get(0), row.get(1));
    assert!(with > 2 && with == all, "{with} of {all} sessions have shown a certificate");
    lock.unlock().await.unwrap();
    waiting.await.unwrap().unwrap().unlock().await.unwrap();
}

pub(crate) async fn tls_of_another_authority_is_refused(server: Arc<Guarded>) {
    refused(store(&server, "localhost", &Authority::new())).await;
    // By a URL, which trusts whom this system trusts.
    for mode in ["require", "verify-full"] {
        let url = url_as(&server, "postgres", "golock-test") + "?sslmode=" + mode;
        let error = PostgresStore::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Tls, "{:?}", error.source());
    }
}

pub(crate) async fn tls_of_another_host_is_refused(server: Arc<Guarded>) {
    let error = refused(store(&server, "127.0.0.1", server.authority())).await;
    assert!(format!("{error:?}").contains("NotValidForName"), "{error:?}");
}

/// PostgreSQL calls it a failure to log in, but says why.
pub(crate) async fn plaintext_that_the_server_refuses_is_told(server: Arc<Guarded>) {
    let url = url_as(&server, "postgres", "golock-test") + "?sslmode=disable";
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Authentication, "{:?}", error.source());
    assert!(format!("{:?}", error.source()).contains("no encryption"), "{:?}", error.source());
}
