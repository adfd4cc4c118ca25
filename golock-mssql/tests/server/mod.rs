//! An administrator's session on the server that the tests run on.

#![allow(dead_code, reason = "each test file uses a part of it")]

use golock_conformance::BoxError;
use golock_mssql::tiberius::{AuthMethod, Client, Config, Row, SqlBrowser, ToSql};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};
use url::Url;

pub(crate) type Session = Client<Compat<TcpStream>>;

/// A session of the user that `url` names, whatever certificate the server has.
pub(crate) async fn session(url: &str) -> Result<Session, BoxError> {
    let url: Url = url.parse()?;
    let mut config = Config::new();
    config.host(url.host_str().unwrap_or_default());
    config.port(url.port().unwrap_or(1433));
    config.authentication(AuthMethod::sql_server(url.username(), url.password().unwrap_or_default()));
    config.database(url.path().trim_start_matches('/'));
    config.trust_cert();
    let tcp = TcpStream::connect_named(&config).await?;
    Ok(Client::connect(config, tcp.compat_write()).await?)
}

/// The rows of the last statement.
pub(crate) async fn run(session: &mut Session, sql: &str) -> Result<Vec<Row>, BoxError> {
    Ok(session.simple_query(sql).await?.into_results().await?.pop().unwrap_or_default())
}

/// As [`run`], with parameters.
pub(crate) async fn query(
    session: &mut Session,
    sql: &str,
    parameters: &[&dyn ToSql],
) -> Result<Vec<Row>, BoxError> {
    Ok(session.query(sql, parameters).await?.into_results().await?.pop().unwrap_or_default())
}

/// The same server, believed only if its certificate is in order.
pub(crate) fn distrustful(url: &str) -> Result<String, BoxError> {
    let mut url: Url = url.parse()?;
    url.set_query(None);
    Ok(url.into())
}
